import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { createReportDuty } from '../../shared/aggregate-reports/report-duty.ts'
import { trimJournal } from '../../shared/journal.ts'
import { sendNoticeSummaries } from '../../shared/notices/admin-notices.ts'
import { expireReports, receivedReportsFolder } from '../../shared/received-reports/store.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { restoreLimits } from '../../shared/operate/queue-limits.ts'
import { createAuditor } from '../../shared/pipeline/audit.ts'
import { expireQuarantine } from '../../shared/pipeline/expire-quarantine.ts'
import { sweep } from '../../shared/pipeline/sweep.ts'
import type { SweepParts } from '../../shared/pipeline/sweep.ts'
import { takeUpDecisions } from '../../shared/pipeline/take-up.ts'
import { sendDigests } from '../../shared/quarantine/send-digests.ts'
import type { RunningService, Service, ServiceContext } from '../../shared/service.ts'
import { collectGarbage } from '../../shared/spool/garbage.ts'
import { keepTimeOf } from '../../shared/spool/kept-contents.ts'
import { openEventStore } from '../../shared/store/event-store.ts'
import { readStorePlace } from '../../shared/store/read-place.ts'
import { LiveIndex } from '../../shared/spool/live-index.ts'
import { expireTallies, tallyKeptMs } from '../../shared/filter-tally/tally.ts'
import { expireRuleHits, hitsKeptMs } from '../../shared/rule-hits/rule-hits.ts'
import { openWebhooks } from '../../shared/webhooks/webhooks.ts'
import { alone, openLeader } from './leader.ts'
import { openWipeWatch } from './wipe-watch.ts'

const wipeCheckMs = 2_000
const orphanCheckMs = 30_000
const garbageMs = 30_000
const decisionMs = 10_000
/** An operator's command of this age is not at work any more. */
const decisionAgeMs = 5_000
const quarantineMs = 10_000
const oldEventsMs = 60_000
const auditMs = 30_000
/** The audit waits while the store knows so much less than the journal. */
const behindLimitBytes = 8 * 1024 * 1024
const auditPatienceMs = 600_000
const digestMs = 10_000
const noticeMs = 30_000
const reportMs = 60_000
const receivedReportsMs = 3_600_000
const webhooksMs = 1_000
const limitsMs = 5_000
const ruleHitsMs = 10_000
/** What looks at every live message may take a twentieth of the time. */
const restOfIndexDuties = 20
/** Jobs a worker holds while Redis is emptied get this long to log their outcome before their messages are queued again. */
const graceAfterWipeMs = 3_000
/** A message this young belongs to the process that accepted it. */
const minAgeMs = 15_000
/** Settled messages stay on disk this long, and longer for `replay keep`: a job that runs twice then still finds its record. */
const keepSettledMs = 60_000

/**
 * Keeps the promise that nothing accepted is lost: watches the spool's log against the queues, gives messages without a job their
 * jobs again (a crash between disk and queue, an emptied Redis), and frees what is settled. One per data folder; of several hosts that
 * share a bucket one leads, and the others look after what is in their own folder.
 */
const ledger: Service = { name: 'ledger', start: startLedger }
export default ledger

async function startLedger(context: ServiceContext): Promise<RunningService> {
  const { queues, spool, pipeline, events, metrics, clock, log } = context
  const startedAt = clock.now()
  const index = await LiveIndex.open(spool.volume, {
    clock,
    onDamage: (damage) => log.error({ damage }, 'spool segment is damaged'),
  })
  const eventsFolder = join(context.dataFolder, 'events')
  const store = openEventStore(eventsFolder, await readStorePlace(context.configuration), log)
  const webhooks = openWebhooks(context, eventsFolder)
  const parts: SweepParts = { index, queues, spool, pipeline, events, clock, log }
  const leader = spool.volume.folder === undefined ? openLeader(queues.leases, clock) : alone
  const stop = new AbortController()
  const running = new Set<Promise<void>>()
  const timers = new Set<NodeJS.Timeout>()
  let indexIsFree: Promise<unknown> = Promise.resolve()
  const troubles = new Map<string, string>()

  /**
   * Runs a duty again and again, each `periodMs` and after `rest` times as long as it took; trouble is logged once and shown in the
   * health.
   */
  function every(name: string, periodMs: number, rest: number, duty: () => Promise<void>): void {
    const run = async (): Promise<void> => {
      const startedAt = clock.now()
      try {
        await duty()
        troubles.delete(name)
      } catch (error) {
        if (stop.signal.aborted) return
        if (!troubles.has(name)) log.warn({ duty: name, err: error }, 'ledger duty failed; tried again')
        troubles.set(name, `${name}: ${(error as Error).message}`)
      }
      again(Math.max(periodMs, rest * (clock.now() - startedAt)))
    }
    const again = (delayMs: number): void => {
      if (stop.signal.aborted) return
      const timer = setTimeout(() => {
        timers.delete(timer)
        const work = run().finally(() => running.delete(work))
        running.add(work)
      }, delayMs)
      timers.add(timer)
    }
    again(0)
  }

  /** What only one ledger of a spool may do, or needs to. */
  function everyLeading(name: string, periodMs: number, rest: number, duty: () => Promise<void>): void {
    every(name, periodMs, rest, async () => {
      if (await leader.leads()) await duty()
    })
  }

  /** The index is refreshed by one duty at a time. */
  function withIndex<T>(work: () => Promise<T>): Promise<T> {
    const result = indexIsFree.then(work)
    indexIsFree = result.then(
      () => undefined,
      () => undefined,
    )
    return result
  }

  const followed = new Map<MessageId, number>()

  async function requeueAfterWipe(): Promise<void> {
    log.warn({}, 'redis was emptied: queues are rebuilt from the spool')
    await sleep(graceAfterWipeMs, undefined, { signal: stop.signal })
    await report('redis was emptied', 0)
  }

  async function report(reason: string, youngestMs: number): Promise<void> {
    const result = await withIndex(() => sweep(parts, { minAgeMs: youngestMs, reason, signal: stop.signal }))
    if (result.requeued + result.failed > 0) log.warn({ reason, ...result }, 'messages without a job were queued again')
  }

  const audit = createAuditor({ index, spool, store, events, clock })
  let isAudited = false
  let missing: readonly MessageId[] = []

  async function auditAll(): Promise<void> {
    if ((await store.behindBytes()) > behindLimitBytes) return
    missing = [...(await withIndex(() => index.refresh().then(audit))).keys()]
    isAudited = true
    metrics.missingMessages.set(missing.length)
  }

  /** Outcomes that the journal lacks are read by the first audit: until then they stay, if it can be had. */
  function mayCollect(): boolean {
    return isAudited || clock.now() - startedAt > auditPatienceMs
  }

  every('wipe check', wipeCheckMs, 0, openWipeWatch(queues, leader, requeueAfterWipe))
  every('limits of queues', limitsMs, 0, async () => {
    const restored = await restoreLimits({ queues, dataFolder: context.dataFolder })
    if (restored.length > 0) log.warn({ queues: restored }, 'limits of queues are in force again')
  })
  everyLeading('orphan check', orphanCheckMs, restOfIndexDuties, () => report('no job', minAgeMs))
  everyLeading('decisions', decisionMs, restOfIndexDuties, async () => {
    const done = await withIndex(() => takeUpDecisions(parts, followed, decisionAgeMs))
    if (done > 0) log.info({ jobs: done }, 'decisions of operators were carried out')
  })
  everyLeading('quarantine', quarantineMs, restOfIndexDuties, async () => {
    const { keepMs } = context.configuration.pipeline.quarantine
    if (keepMs !== undefined) await expireQuarantine({ queues, spool, events, clock }, keepMs)
  })
  everyLeading('digests', digestMs, restOfIndexDuties, async () => {
    const sent = await sendDigests(context, stop.signal)
    if (sent > 0) log.info({ sent }, 'digests of what was kept back are on their way')
  })
  everyLeading('notices', noticeMs, restOfIndexDuties, async () => {
    await sendNoticeSummaries(context)
  })
  const sendReports = createReportDuty(context)
  every('aggregate reports', reportMs, restOfIndexDuties, () => sendReports(stop.signal))
  every('received reports', receivedReportsMs, 0, async () => {
    const { keepMs } = context.configuration.pipeline.receivedReports
    await expireReports(receivedReportsFolder(context.dataFolder), clock.now() - keepMs)
  })
  every('audit', auditMs, restOfIndexDuties, auditAll)
  every('old events', oldEventsMs, restOfIndexDuties, async () => {
    const { keepMs, maxBytes } = context.configuration.pipeline.events
    const question = { before: clock.now() - keepMs, ...(maxBytes === undefined ? {} : { maxBytes }) }
    while (!stop.signal.aborted && (await webhooks.trimming(() => store.trim(question))));
  })
  every('hits of rules', ruleHitsMs, 0, async () => {
    context.ruleHits?.follow(context.configuration)
    await expireRuleHits(context.dataFolder, clock.now() - hitsKeptMs)
    await expireTallies(context.dataFolder, clock.now() - tallyKeptMs)
  })
  every('webhooks', webhooksMs, 0, () => webhooks.follow())
  every('garbage collection', garbageMs, restOfIndexDuties, async () => {
    if (!mayCollect()) return
    const before = clock.now() - context.configuration.pipeline.events.keepMs
    await webhooks.trimming(() => trimJournal(eventsFolder, before))
    if (!(await leader.leads())) return
    const { troubles: found } = await withIndex(async () => {
      const limits = { leastMs: keepSettledMs, ...context.configuration.pipeline.replay }
      const now = { at: clock.now(), freeBytes: () => spool.freeBytes() }
      return collectGarbage(index, { olderThanMs: await keepTimeOf(index, limits, now), clock })
    })
    for (const trouble of found) log.warn({ trouble }, 'spool could not be cleaned up here')
  })

  return {
    health: async () => [
      ...troubles.values(),
      ...(missing.length === 0 ? [] : [missingText(missing)]),
      ...(store.trouble === undefined ? [] : [`message store: ${store.trouble}`]),
      ...webhooks.troubles,
    ],
    async close() {
      stop.abort()
      for (const timer of timers) clearTimeout(timer)
      // A duty that waits for a receiver of a webhook ends with that.
      const closing = webhooks.close()
      await Promise.all(running)
      await leader.close()
      await closing
      await store.close()
      await index.close()
    },
  }
}

function missingText(ids: readonly MessageId[]): string {
  const more = ids.length > shownIds ? ` and ${ids.length - shownIds} more` : ''
  return `accepted, without outcome and not in the spool: ${ids.slice(0, shownIds).join(', ')}${more}; see 'sluicectl audit'`
}

const shownIds = 5
