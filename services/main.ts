import { fileURLToPath } from 'node:url'

import { ConfigurationFiles } from '../shared/config/configuration-files.ts'
import { createLiveConfiguration, onReload } from '../shared/config/live-configuration.ts'
import type { LiveConfiguration } from '../shared/config/live-configuration.ts'
import { ConfigurationError } from '../shared/config/load.ts'
import type { Configuration } from '../shared/config/model.ts'
import { renderDiagnostic } from '../shared/config/diagnostic.ts'
import { startHeartbeats } from '../shared/heartbeat.ts'
import type { BeatingService } from '../shared/heartbeat.ts'
import { createLog } from '../shared/log.ts'
import type { Logger } from '../shared/log.ts'
import { startMetricsFile } from '../shared/metrics-files.ts'
import { NoRedisError, ensureRedis } from '../shared/queue/ensure-redis.ts'
import type { EnsureRedisSettings } from '../shared/queue/ensure-redis.ts'
import { describeAddress } from '../shared/queue/redis-address.ts'
import { readRedisSecrets } from '../shared/queue/redis-secrets.ts'
import { UnsuitableRedisError } from '../shared/queue/check-redis.ts'
import { sluiceVersion } from '../shared/version.ts'
import { lacksOf } from '../shared/readiness.ts'
import type { Foundations } from '../shared/readiness.ts'
import { checkOpenDoors } from '../shared/restrictions/check-open-doors.ts'
import type { RunningService, ServiceContext } from '../shared/service.ts'
import { UsageError, readCommandLine, usage } from '../shared/start/command-line.ts'
import type { StartOptions } from '../shared/start/command-line.ts'
import { openDataFolder } from '../shared/start/data-folder.ts'
import { prepareLocalIdentity } from '../shared/start/first-start.ts'
import type { LocalIdentity } from '../shared/start/first-start.ts'
import { keepCurrent } from '../shared/start/keep-current.ts'
import { listenToParent } from '../shared/start/led-reload.ts'
import type { Parent } from '../shared/start/led-reload.ts'
import { lockInstance } from '../shared/start/instance-lock.ts'
import { hasTerminalOrNeedsNone } from '../shared/start/reload-triggers.ts'
import { StartError } from '../shared/start/start-error.ts'
import { isWorkerProcess, startWorkerProcesses, tellReady } from '../shared/start/worker-processes.ts'
import { openSystem } from '../shared/system.ts'
import { registry } from './registry.ts'

const localSmtpdConf = fileURLToPath(new URL('../deploy/local/smtpd.conf', import.meta.url))
/** How long work in hand may take when the process is asked to stop. */
const drainMs = 30_000
const localPipelineConf = fileURLToPath(new URL('../deploy/local/pipeline.conf', import.meta.url))

try {
  await main()
} catch (error) {
  process.exitCode = report(error)
}

async function main(): Promise<void> {
  const options = readCommandLine(process.argv.slice(2), process.env)
  if (options.help) {
    process.stdout.write(`${usage}\n`)
    return
  }
  const names = servicesToRun(options.services)
  const dataFolder = await openDataFolder(options.dataFolder)
  const local = options.smtpdConf === undefined ? await prepareLocalIdentity(dataFolder) : undefined
  const files = configurationFiles(options, local)
  const parent = isWorkerProcess() ? listenToParent() : undefined
  const loaded = await (parent === undefined ? files.load() : parent.load(files))
  const { configuration, warnings } = loaded
  for (const warning of warnings) {
    // Of the certificate that was made for this machine the welcome tells.
    if (local === undefined || warning.code !== 'certificate') process.stderr.write(`${renderDiagnostic(warning)}\n`)
  }
  if (options.checkOnly) {
    const doors = await checkOpenDoors(loaded)
    if (doors.some(({ severity }) => severity === 'error')) throw new ConfigurationError(doors)
    for (const warning of doors) process.stderr.write(`${renderDiagnostic(warning)}\n`)
    process.stdout.write(`configuration OK (revision ${configuration.revision})\n`)
    return
  }
  const live = createLiveConfiguration(loaded, () => files.load(), files.options)
  await run({ options, names, dataFolder, files, live, parent, local })
}

/** @throws StartError for a name that is no service */
function servicesToRun(asked: readonly string[]): readonly string[] {
  for (const name of asked) {
    if (!registry.has(name))
      throw new StartError(`no service is called '${name}'; there are: ${[...registry.keys()].join(' ')}`)
  }
  return [...registry.keys()].filter((name) => asked.length === 0 || asked.includes(name))
}

function configurationFiles(options: StartOptions, local: LocalIdentity | undefined): ConfigurationFiles {
  const pipelineConf = options.pipelineConf ?? (local === undefined ? undefined : localPipelineConf)
  const hostname = process.env['SMTPD_HOSTNAME']
  return new ConfigurationFiles({
    smtpdConf: options.smtpdConf ?? localSmtpdConf,
    ...(pipelineConf === undefined ? {} : { pipelineConf }),
    definitions: { ...local?.definitions, ...options.definitions },
    libexec: options.libexec,
    ...(hostname === undefined ? {} : { hostname }),
  })
}

interface Run {
  readonly options: StartOptions
  readonly names: readonly string[]
  readonly dataFolder: string
  readonly files: ConfigurationFiles
  readonly live: LiveConfiguration
  readonly parent: Parent | undefined
  readonly local: LocalIdentity | undefined
}

async function run({ options, names, dataFolder, files, live, parent, local }: Run): Promise<void> {
  const configuration = live.current
  const { log, flush, setLevel } = createLog(configuration.pipeline.logLevel, {
    process: `${writerName(names)}:${process.pid}`,
  })
  onReload(live, (next) => setLevel(next.pipeline.logLevel))
  const shared = names.includes('inbound') && options.inboundProcesses > 1 && !isWorkerProcess()
  const opened: (() => Promise<void>)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).toReversed()) await close()
    flush()
  }
  const signals = heedSignals(closeAll, log)
  try {
    if (names.includes('ledger')) {
      const lock = await lockInstance(dataFolder, 'sluice')
      opened.push(() => lock.release())
    }
    const redis = await ensureRedis({ ...(await redisSettings(options, configuration)), dataFolder, log })
    opened.push(() => redis.release())
    const readsWhatItStores = names.includes('inbound') && names.length > 1
    const system = await openSystem({
      configuration,
      live,
      dataFolder,
      redis,
      writer: writerName(names),
      readsWhatItStores,
      log,
    })
    opened.push(() => system.close())
    const running: BeatingService[] = []
    for (const name of names.filter((one) => one !== 'inbound' || !shared)) {
      const service = await startService(name, system.context)
      opened.push(() => service.close())
      running.push(beating(name, service, system.context))
    }
    const workers = shared ? await startWorkers({ options, dataFolder, live, log }) : undefined
    if (workers !== undefined) {
      live.follow(workers.follower)
      opened.push(() => workers.close())
    }
    const upkeep = keepCurrent({ live, files, parent, context: system.context })
    const versions = { sluice: await sluiceVersion(), node: process.version }
    const beats = await startHeartbeats(dataFolder, running, () => system.context.clock.now(), {
      configuration: () => upkeep.state,
      versions,
      added: () => system.context.queues.added(),
    })
    opened.push(() => beats.stop())
    // Where the dashboard is, it knows itself.
    if (!names.includes('dashboard')) {
      const { registry: counted } = system.context.metrics
      const file = await startMetricsFile(dataFolder, names.length > 3 ? 'sluice' : names.join('+'), counted)
      opened.push(() => file.stop())
    }
    const watching = upkeep.start({ beat: () => beats.beat(), tell: (outcome) => workers?.tell(outcome) })
    opened.push(() => watching.close())
    signals.onHangUp(() => watching.now())
    const listens = [...running.flatMap((service) => service.listens), ...(workers?.listens ?? [])]
    log.info(
      { services: names, listens, revision: configuration.revision, dataFolder, redis: describeAddress(redis.address) },
      'ready',
    )
    flush()
    if (isWorkerProcess()) tellReady(listens)
    else welcome(listens, local)
  } catch (error) {
    await closeAll()
    throw error
  }
  surviveBugs(log)
  signals.started()
}

function startWorkers({
  options,
  dataFolder,
  live,
  log,
}: Pick<Run, 'options' | 'dataFolder' | 'live'> & { readonly log: Logger }): ReturnType<typeof startWorkerProcesses> {
  const args = [...argumentsOf(options, dataFolder), 'inbound']
  return startWorkerProcesses({ count: options.inboundProcesses, args, texts: () => live.texts, log })
}

/** REDIS_URL, or the line of pipeline.conf with its passwords; neither: one of our own. */
async function redisSettings(
  options: StartOptions,
  configuration: Configuration,
): Promise<Pick<EnsureRedisSettings, 'redisUrl' | 'secrets'>> {
  const { redis } = configuration.pipeline
  const redisUrl = options.redisUrl ?? redis?.url ?? ''
  return { redisUrl, secrets: await readRedisSecrets(redis) }
}

async function startService(name: string, context: ServiceContext): Promise<RunningService> {
  const find = registry.get(name)
  if (find === undefined) throw new StartError(`no service is called '${name}'`)
  const { default: service } = await find()
  return service.start(context)
}

/** The same options for the processes that share the inbound ports. */
function argumentsOf(options: StartOptions, dataFolder: string): readonly string[] {
  const files = [
    ['-f', options.smtpdConf],
    ['-p', options.pipelineConf],
    ['-d', dataFolder],
  ] as const
  return [
    ...files.flatMap(([flag, value]) => (value === undefined ? [] : [flag, value])),
    ...Object.entries(options.definitions).flatMap(([name, value]) => ['-D', `${name}=${value}`]),
  ]
}

function beating(name: string, service: RunningService, foundations: Foundations): BeatingService {
  return {
    service: name,
    get listens() {
      return service.listens ?? []
    },
    lastJobAt: () => service.lastJobAt?.(),
    work: () => service.work?.(),
    notes: () => service.notes?.() ?? [],
    connections: () => service.connections?.(),
    troubles: async () => (await service.health?.()) ?? [],
    lacks: async () => [...(service.lacks?.() ?? []), ...(await lacksOf(name, foundations))],
  }
}

/** Prefix of this process's files: the service's name when it runs alone. */
function writerName(names: readonly string[]): string {
  return names.length === 1 ? (names[0] as string) : 'sluice'
}

/**
 * Stops in the opposite order of starting; what does not end in time is left to the spool, which loses nothing. A signal that comes
 * while the services still start is kept until `started`; a second one ends the process at once. SIGHUP reloads, but for a process
 * whose terminal is gone.
 */
function heedSignals(
  closeAll: () => Promise<void>,
  log: Logger,
): { started(): void; onHangUp(reload: () => void): void } {
  const atTerminal = process.stdin.isTTY
  let reload: (() => void) | undefined
  let missed = false
  let asked: NodeJS.Signals | undefined
  let isStarted = false
  const stop = (): void => {
    log.info({ signal: asked }, 'stopping')
    const limit = setTimeout(() => {
      process.stderr.write(
        `sluice: not everything ended within ${drainMs / 1000} s; what was in hand is taken up again\n`,
      )
      process.exit(0)
    }, drainMs)
    closeAll().then(
      () => {
        clearTimeout(limit)
        process.exit(0)
      },
      (error: unknown) => process.exit(report(error)),
    )
  }
  const onSignal = (signal: NodeJS.Signals): void => {
    if (asked !== undefined) process.exit(1)
    asked = signal
    if (isStarted) stop()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('SIGHUP', () => {
    if (!hasTerminalOrNeedsNone(atTerminal)) onSignal('SIGHUP')
    else if (reload === undefined) missed = true
    else reload()
  })
  return {
    started() {
      isStarted = true
      if (asked !== undefined) stop()
    },
    onHangUp(heed) {
      reload = heed
      if (missed) heed()
    },
  }
}

/** A bug in one session or job must not end the others: it is logged, and the spool keeps what the job held. */
function surviveBugs(log: Logger): void {
  process.on('uncaughtException', (error) => log.error({ err: error }, 'uncaught exception'))
  process.on('unhandledRejection', (reason) => log.error({ err: reason }, 'unhandled rejection'))
}

/** What it listens on, and the three commands to try next. */
function welcome(listens: readonly string[], local: LocalIdentity | undefined): void {
  if (local === undefined) return
  const lines = ['', 'Sluice is ready.', ...local.made.map((text) => `  made      ${text}`)]
  for (const text of listens) lines.push(`  listens   ${text}`)
  lines.push(
    '',
    'Try next, in another terminal:',
    '  npm run ctl -- send --to jane@localhost              a message comes in, is filtered and delivered',
    `  npm run ctl -- send --port 2587 --tls --user ${local.user} --password-file ${local.passwordFile} --from jane@localhost --to jane@localhost`,
    '  npm run ctl -- show queue                            what waits where; "show message ID" tells a message\'s story',
    '',
  )
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** Prints why it could not start, as one clear text, and gives the exit code. */
function report(error: unknown): number {
  if (error instanceof ConfigurationError) {
    process.stderr.write(`${error.message}\n`)
    return 78
  }
  process.stderr.write(`sluice: ${isExpected(error) ? error.message : ((error as Error).stack ?? String(error))}\n`)
  return error instanceof StartError ? error.exitCode : 1
}

/** Trouble the operator can mend: its message says how, a stack would only hide it. */
function isExpected(error: unknown): error is Error {
  const kinds = [StartError, UsageError, NoRedisError, UnsuitableRedisError]
  return kinds.some((kind) => error instanceof kind)
}
