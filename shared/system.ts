import { networkInterfaces } from 'node:os'
import { join } from 'node:path'

import { systemClock } from './clock.ts'
import { fixedConfiguration, onReload } from './config/live-configuration.ts'
import type { LiveConfiguration } from './config/live-configuration.ts'
import type { Configuration } from './config/model.ts'
import { openTables } from './config/tables.ts'
import { createEvents } from './events.ts'
import { openJournal } from './journal.ts'
import { openFilterTally } from './filter-tally/tally.ts'
import { openSessionLog, sessionLogFolder } from './session-log.ts'
import type { Logger } from './log.ts'
import { createMetrics } from './metrics.ts'
import { createExpander, createReaddresser } from './pipeline/expander.ts'
import { openPipeline } from './pipeline/pipeline.ts'
import { createRouter } from './pipeline/router.ts'
import type { RedisEndpoint } from './queue/ensure-redis.ts'
import { openQueues } from './queue/queues.ts'
import { createResolver } from './resolver.ts'
import { openRuleHits } from './rule-hits/rule-hits.ts'
import { externalOpener } from './table-host/open-external.ts'
import type { ServiceContext } from './service.ts'
import { openConfiguredSpool } from './start/open-spool.ts'
import { startTracing } from './tracing/start-tracing.ts'

/** Everything the services of one process share, opened in order and closed in the opposite one. */
export interface System {
  readonly context: ServiceContext
  close(): Promise<void>
}

export interface SystemOptions {
  readonly configuration: Configuration
  /** What `configuration` is the first of; absent: it stays for good. */
  readonly live?: LiveConfiguration
  readonly dataFolder: string
  readonly redis: RedisEndpoint
  /** Prefix of this process's files in spool and journal, e.g. `filter`. */
  readonly writer: string
  /** Stages run in the process that accepts: what it stored last is worth keeping in memory. */
  readonly readsWhatItStores?: boolean
  readonly log: Logger
}

const recentBytes = 16 * 1024 * 1024

/** @throws StartError when the spool cannot be used */
export async function openSystem(options: SystemOptions): Promise<System> {
  const { configuration, dataFolder, redis, writer, log } = options
  const live = options.live ?? fixedConfiguration(configuration)
  const clock = systemClock
  const metrics = createMetrics()
  const tracing = await startTracing({ configuration, writer, metrics, log, env: process.env })
  const traced = tracing === undefined ? {} : { tracing }
  const journal = await openJournal(join(dataFolder, 'events'), writer, clock.now(), log)
  const ruleHits = openRuleHits({ dataFolder, writer, clock, log })
  const filterTally = openFilterTally({ dataFolder, writer, clock, log })
  const sessions = await openSessionLog({ folder: sessionLogFolder(dataFolder), writer, clock, log })
  const events = createEvents({ log, metrics, journal, sessions, clock, hits: ruleHits })
  const tables = openTables({
    delimiter: configuration.subAddressDelimiter,
    onWarning: (message) => log.warn({}, message),
    external: externalOpener({ log, now: () => clock.now() }),
  })
  const resolver = createResolver({ servers: configuration.pipeline.resolvers })
  const spool = await openConfiguredSpool(
    { configuration, dataFolder },
    {
      writer,
      recentBytes: options.readsWhatItStores === true ? recentBytes : 0,
      clock,
      onDamage: (damage) => log.error({ damage }, 'spool segment is damaged'),
    },
  )
  const names = [...configuration.pipeline.queues.keys()]
  const prefix = configuration.pipeline.redis?.prefix ?? 'sluice'
  const queues = openQueues({ endpoint: redis, prefix, names, log, service: writer, ...traced })
  const rules = [() => live.current, tables, localAddresses()] as const
  const route = createRouter(...rules, ruleHits)
  const expand = createExpander(...rules)
  const readdress = createReaddresser(...rules)
  const shared = { route, expand, readdress, spool, queues, events, metrics, log, clock, ...traced }
  const pipeline = openPipeline(withConfiguration(live, shared))
  const unfollow = onReload(live, (next) => {
    resolver.useServers(next.pipeline.resolvers)
    queues.include([...next.pipeline.queues.keys()])
    void tables.follow(next.tables.values())
  })
  const common = {
    tables,
    spool,
    queues,
    pipeline,
    resolver,
    events,
    ruleHits,
    filterTally,
    metrics,
    log,
    clock,
    ...traced,
  }
  const parts = { live, ...common, dataFolder }
  return {
    context: withConfiguration(live, parts),
    async close() {
      unfollow()
      await pipeline.close()
      await tables.close()
      await queues.close()
      await spool.close()
      resolver.close()
      await ruleHits.close()
      await filterTally.close()
      await journal.close()
      await sessions.close()
      await tracing?.close()
      metrics.close()
    },
  }
}

/** The parts, and the configuration in force whenever it is read. A copy of the result (`{ ...parts }`) is a snapshot. */
function withConfiguration<Parts extends object>(
  live: LiveConfiguration,
  parts: Parts,
): Parts & { readonly configuration: Configuration } {
  return Object.defineProperty({ ...parts, configuration: live.current }, 'configuration', {
    enumerable: true,
    get: () => live.current,
  })
}

/** Every address of this host, without zone: who connects from one of them is `local`. */
export function localAddresses(): ReadonlySet<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((one) => one.address))
  return new Set(addresses.map((address) => address.split('%')[0] as string))
}
