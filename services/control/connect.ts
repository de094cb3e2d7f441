import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { loadConfiguration } from '../../shared/config/load.ts'
import type { LoadedConfiguration } from '../../shared/config/load.ts'
import { storyOf } from '../../shared/journal.ts'
import { silentLog } from '../../shared/log.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import type { RedisEndpoint } from '../../shared/queue/ensure-redis.ts'
import { openQueues } from '../../shared/queue/queues.ts'
import type { Queues } from '../../shared/queue/queues.ts'
import { describeAddress, parseRedisUrl } from '../../shared/queue/redis-address.ts'
import type { RedisAddress } from '../../shared/queue/redis-address.ts'
import { readRedisSecrets } from '../../shared/queue/redis-secrets.ts'
import { socketPathOf } from '../../shared/queue/redis-server.ts'
import type { MessageSources } from '../../shared/report/message-view.ts'
import type { ServiceContext } from '../../shared/service.ts'
import type { Keyring } from '../../shared/spool/keyring.ts'
import { findMessage } from '../../shared/spool/list-messages.ts'
import { OutcomeIndex } from '../../shared/spool/outcome-index.ts'
import type { SpoolVolume } from '../../shared/spool/volume.ts'
import { readCommandLine } from '../../shared/start/command-line.ts'
import type { StartOptions } from '../../shared/start/command-line.ts'
import { openDataFolder } from '../../shared/start/data-folder.ts'
import { prepareLocalIdentity } from '../../shared/start/first-start.ts'
import { openSpoolVolume, spoolName } from '../../shared/start/open-spool.ts'
import { readSpoolKeys } from '../../shared/start/spool-keys.ts'
import { openSystem } from '../../shared/system.ts'
import { openStoreReader } from '../../shared/store/open-store.ts'
import { readStorePlace } from '../../shared/store/read-place.ts'
import { StoreError } from '../../shared/store/store-error.ts'
import type { StoreReader } from '../../shared/store/store-reader.ts'
import { ControlError, exitCodes, UsageError } from './command.ts'
import type { Invocation } from './command.ts'
import { workAsOwner, userName } from './data-owner.ts'

/** The Sluice a command is about: found by the same options and variables that `npm start` takes. */
export interface Place {
  readonly configuration: LoadedConfiguration['configuration']
  readonly warnings: LoadedConfiguration['warnings']
  /** Of the files it was read from, by path. */
  readonly texts: LoadedConfiguration['texts']
  readonly setBy?: NonNullable<LoadedConfiguration['setBy']>
  readonly dataFolder: string
  /** Where the spool lies, for people. */
  readonly spool: string
  /** For readers. */
  openVolume(): Promise<SpoolVolume>
  /** Folder of the journal. */
  readonly eventsFolder: string
}

const localSmtpdConf = fileURLToPath(new URL('../../deploy/local/smtpd.conf', import.meta.url))
const localPipelineConf = fileURLToPath(new URL('../../deploy/local/pipeline.conf', import.meta.url))
const redisLimitMs = 3_000

/**
 * Reads the configuration, or one with other files in their places; makes the local identity when the configuration that ships with Sluice is used and it is missing.
 * `variantOfBundled`: a changed copy of that one, which needs the same macros.
 * @throws ConfigurationError, StartError
 */
export async function loadPlace(
  invocation: Invocation,
  smtpdConf?: string,
  otherPipelineConf?: string,
  variantOfBundled = false,
): Promise<Place> {
  const options = startOptions(invocation)
  const file = smtpdConf ?? options.smtpdConf
  const dataFolder = resolve(options.dataFolder)
  const local =
    file === undefined || variantOfBundled ? await prepareLocalIdentity(await openDataFolder(dataFolder)) : undefined
  const pipelineConf =
    otherPipelineConf ?? options.pipelineConf ?? (local === undefined ? undefined : localPipelineConf)
  const hostname = invocation.environment['SMTPD_HOSTNAME']
  const { configuration, warnings, texts, setBy } = await loadConfiguration({
    smtpdConf: file ?? localSmtpdConf,
    ...(pipelineConf === undefined ? {} : { pipelineConf }),
    definitions: { ...local?.definitions, ...options.definitions },
    libexec: options.libexec,
    ...(hostname === undefined ? {} : { hostname }),
  })
  return {
    configuration,
    warnings,
    texts,
    ...(setBy && { setBy }),
    dataFolder,
    spool: spoolName({ configuration, dataFolder }),
    openVolume: () => openSpoolVolume({ configuration, dataFolder, environment: invocation.environment }),
    eventsFolder: join(dataFolder, 'events'),
  }
}

/** The place of a Sluice that was started at least once. @throws ControlError */
export async function findPlace(invocation: Invocation): Promise<Place> {
  const dataFolder = resolve(startOptions(invocation).dataFolder)
  if (!existsSync(dataFolder))
    throw new ControlError(
      `there is no Sluice in ${dataFolder}: start one (npm start), or name its data folder with -d`,
    )
  const place = await loadPlace(invocation)
  // What the configuration names root may read where its owner may not.
  workAsOwner(dataFolder)
  return place
}

/** Works on the queues. @throws ControlError when Redis does not answer */
export async function withQueues<T>(
  invocation: Invocation,
  use: (queues: Queues, place: Place) => Promise<T>,
): Promise<T> {
  const place = await findPlace(invocation)
  const opened = await connectQueues(invocation, place)
  try {
    if (!opened.answers) throw redisAway(opened.address)
    return await use(opened.queues, place)
  } finally {
    await opened.queues.close()
  }
}

/** Works on the queues when they can be had: a command that can tell something without Redis does. */
export async function connectQueues(
  invocation: Invocation,
  place: Place,
): Promise<{ readonly queues: Queues; readonly answers: boolean; readonly address: RedisAddress }> {
  const endpoint = await redisEndpoint(invocation, place)
  const { pipeline } = place.configuration
  const queues = openQueues({
    endpoint,
    prefix: pipeline.redis?.prefix ?? 'sluice',
    names: [...pipeline.queues.keys()],
    log: silentLog(),
    service: 'ctl',
  })
  return { queues, answers: await queues.ready(redisLimitMs), address: endpoint.address }
}

/** Works on everything a service has: for commands that log outcomes or write the story on. @throws ControlError */
export async function withSystem<T>(
  invocation: Invocation,
  use: (context: ServiceContext, place: Place) => Promise<T>,
): Promise<T> {
  const place = await findPlace(invocation)
  const redis = await redisEndpoint(invocation, place)
  const { configuration, dataFolder } = place
  const system = await openSystem({ configuration, dataFolder, redis, writer: 'ctl', log: silentLog() })
  try {
    if (!(await system.context.queues.ready(redisLimitMs))) throw redisAway(redis.address)
    return await use(system.context, place)
  } finally {
    await system.close()
  }
}

/**
 * Where a message's story is read when only files are at hand. Without a store beside it the journal is gone through; `looks`: also
 * while a store of several hosts is away, unless this host knows nothing.
 */
export function messageFiles(place: Place, looks = false): Pick<MessageSources, 'find' | 'outcomesOf' | 'story'> {
  const { eventsFolder } = place
  let opening: Promise<SpoolVolume> | undefined
  const volume = (): Promise<SpoolVolume> => (opening ??= place.openVolume())
  let reading: Promise<Keyring> | undefined
  const keys = (): Promise<Keyring> => (reading ??= readSpoolKeys(place.configuration))
  let index: OutcomeIndex | undefined
  const outcomes = async (): Promise<OutcomeIndex> => {
    const keyring = await keys()
    return (index ??= new OutcomeIndex({
      place: await volume(),
      limit: 2_000_000,
      keyring,
      onDamage: () => undefined,
    }))
  }
  return {
    find: async (id) => findMessage(await volume(), id, await keys()),
    outcomesOf: async (id) => (await (await outcomes()).outcomesOf([id])).get(id) ?? [],
    async story(id) {
      try {
        return await askStore(place, (store) => store.story(id))
      } catch (error) {
        const isAlone = place.configuration.pipeline.events.store.kind === 'sqlite'
        if (!(error instanceof StoreAwayError && (isAlone || looks))) throw error
        const told = await storyOf(eventsFolder, id)
        if (told.length === 0 && !isAlone) throw error
        return told
      }
    },
  }
}

/** There is no message store that can be read. */
export class StoreAwayError extends ControlError {}

/** Asks the message store, for a command that is nothing without it. @throws StoreAwayError */
export async function askStore<T>(
  { eventsFolder, configuration }: Place,
  ask: (store: StoreReader) => Promise<T>,
): Promise<T> {
  let store: StoreReader
  try {
    store = await openStoreReader(eventsFolder, await readStorePlace(configuration))
  } catch (error) {
    throw new StoreAwayError((error as Error).message, exitCodes.failed, { cause: error })
  }
  try {
    return await ask(store)
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    throw new StoreAwayError(error.message, exitCodes.failed, { cause: error })
  } finally {
    await store.close()
  }
}

/** @throws UsageError when the operand is no message id */
export function messageIdOperand(invocation: Invocation): MessageId {
  return messageIdOf(invocation.operands[0] ?? '')
}

/** @throws UsageError */
export function messageIdOf(operand: string): MessageId {
  const text = operand.toLowerCase()
  if (!isMessageId(text))
    throw new UsageError(`'${text}' is not a message id: 18 characters, as the 250 reply ends with`)
  return text
}

/** Who did it, for the story: `jane (sluicectl)`. */
export function operatorName(): string {
  return `${userName()} (sluicectl)`
}

/** Of the Sluice a command is about; its configuration is not read. */
export function dataFolderOf(invocation: Invocation): string {
  return resolve(startOptions(invocation).dataFolder)
}

function startOptions({ options, environment }: Invocation): StartOptions {
  const given = (
    [
      ['-f', options.text('smtpd-conf')],
      ['-p', options.text('pipeline-conf')],
      ['-d', options.text('data')],
      ...options.texts('define').map((text) => ['-D', text] as const),
    ] as const
  ).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]))
  return readCommandLine(given, environment)
}

async function redisEndpoint(invocation: Invocation, place: Place): Promise<RedisEndpoint> {
  return { address: await redisAddress(invocation, place), kind: 'given', release: () => Promise.resolve() }
}

/** REDIS_URL, pipeline.conf, or the socket of the Redis that `npm start` runs: never starts one. */
async function redisAddress(invocation: Invocation, { configuration, dataFolder }: Place): Promise<RedisAddress> {
  const { redis } = configuration.pipeline
  const url = startOptions(invocation).redisUrl ?? redis?.url
  if (url === undefined) return { kind: 'socket', path: socketPathOf(join(dataFolder, 'redis')) }
  return parseRedisUrl(url, await readRedisSecrets(redis))
}

function redisAway(address: RedisAddress): ControlError {
  return new ControlError(
    `Redis does not answer on ${describeAddress(address)}: is Sluice running (npm start)? Another Redis is named with REDIS_URL`,
  )
}
