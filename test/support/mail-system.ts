import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { fixture, root } from './fixtures.ts'
import { freePorts } from './free-port.ts'
import { Maildir } from './maildir.ts'
import {
  describeExit,
  type Exit,
  type Finished,
  run,
  type RunningProcess,
  startProcess,
  waitForPort,
} from './process.ts'
import { programArguments, sourceArguments } from './program.ts'
import { ownRedisSocket, redisCommand, stopOwnRedis } from './redis.ts'
import { tempFolder } from './temp-folder.ts'
import { Changes, within } from './until.ts'

/** In the order they start: what takes work before what brings it. */
export const serviceNames = [
  'ledger',
  'delivery',
  'relay',
  'signer',
  'reports',
  'filter',
  'dashboard',
  'inbound',
] as const

export type ServiceName = (typeof serviceNames)[number]

export interface MailSystemOptions {
  /**
   * smtpd.conf. In this text, in `pipeline` and in `files`, `{{data}}` is the data folder, `{{folder}}` the folder of the
   * configuration, `{{fixtures}}` test/fixtures; any other `{{name}}` becomes a free port, found again in `ports.name`.
   */
  readonly conf: string
  readonly pipeline?: string
  /** More files of the configuration, by their path below its folder. */
  readonly files?: Readonly<Record<string, string>>
  /** All services in one process, or each in one of its own; SLUICE_TEST_SERVICES when left out, else `embedded`. */
  readonly services?: 'embedded' | 'processes'
  /** How many processes of a service, 1 unless told otherwise; 0 leaves it out. Only with `processes`. */
  readonly processes?: Readonly<Partial<Record<ServiceName, number>>>
  /** REDIS_URL of a Redis that the test rules; without it the product gets its own in the data folder. */
  readonly redisUrl?: string
  readonly env?: Readonly<Record<string, string>>
  /** Given by the test that needs a special one, e.g. on a small disk; not removed then. */
  readonly dataFolder?: string
  /** Arguments of node, e.g. `--cpu-prof`. */
  readonly nodeArguments?: readonly string[]
  /** The log goes there and is not read: for measurements. Ready then means that `{{smtp}}` listens. */
  readonly logFile?: string
}

/** One line of the product's log. Lines that are no JSON have only `msg`. */
export interface LogLine {
  readonly [field: string]: unknown
  readonly msg?: string
  readonly event?: string
  readonly id?: string
}

interface Instance {
  readonly label: string
  readonly services: readonly ServiceName[]
  process: RunningProcess
}

/** The product as a test sees it: real processes, their log, their ports, their command line. */
export class MailSystem {
  readonly ports: Readonly<Record<string, number>>
  readonly dataFolder: string
  /** Everything logged so far by all processes. */
  readonly log: LogLine[] = []
  readonly #options: MailSystemOptions
  readonly #environment: Readonly<Record<string, string>>
  readonly #instances: Instance[] = []
  readonly #changes = new Changes()
  readonly #prepared: Prepared

  private constructor(options: MailSystemOptions, prepared: Prepared) {
    this.#options = options
    this.ports = prepared.ports
    this.dataFolder = prepared.dataFolder
    this.#environment = prepared.environment
    this.#prepared = prepared
  }

  /** Resolves when everything listens. @throws Error with the end of the log when a process ends first. */
  static async start(options: MailSystemOptions): Promise<MailSystem> {
    const system = new MailSystem(options, await prepare(options))
    try {
      await system.#startAll()
      return system
    } catch (error) {
      await system.#end('SIGKILL')
      await system.#prepared.remove()
      throw error
    }
  }

  /** Runs the product with a configuration that it should refuse; its exit and all it said. */
  static async refusal(
    options: MailSystemOptions,
    args: readonly string[] = [],
  ): Promise<{ readonly exit: Exit; readonly text: string; readonly lines: readonly string[] }> {
    const prepared = await prepare(options)
    const process = startProcess(globalThis.process.execPath, [...programArguments('services/main'), ...args], {
      name: 'sluice',
      cwd: root,
      env: prepared.environment,
    })
    const exit = await process.exited
    await prepared.remove()
    return { exit, text: process.lines.join('\n'), lines: process.lines }
  }

  /** Process ids of all that runs now. */
  get pids(): readonly number[] {
    return this.#instances.filter(isRunning).map((instance) => instance.process.pid)
  }

  port(name: string): number {
    const port = this.ports[name]
    if (port === undefined) throw new Error(`no {{${name}}} in the configuration`)
    return port
  }

  /** Writes a file of the configuration anew; a new `{{name}}` cannot come up in it. */
  configure(name: string, text: string): Promise<void> {
    return this.#prepared.write(name, text)
  }

  /** A local mailbox below `{{data}}/mail`. */
  maildir(user: string): Maildir {
    return new Maildir(join(this.dataFolder, 'mail', user))
  }

  async waitForLog(matches: (line: LogLine) => boolean, timeoutMs = 120_000): Promise<LogLine> {
    let seen = 0
    return this.#changes.until(
      timeoutMs,
      () => `the awaited log line; the last ones:\n${this.logTail()}`,
      () => {
        for (; seen < this.log.length; seen++) if (matches(this.log[seen] as LogLine)) return this.log[seen]
        return undefined
      },
    )
  }

  /** Waits for a mail event by name, of one message when an id is given. */
  waitForEvent(event: string, id?: string, timeoutMs?: number): Promise<LogLine> {
    return this.waitForLog((line) => line.event === event && (id === undefined || line.id === id), timeoutMs)
  }

  logTail(count = 30): string {
    return this.log
      .slice(-count)
      .map((line) => JSON.stringify(line))
      .join('\n')
  }

  /** sluicectl with this system's configuration. */
  ctl(...args: readonly string[]): Promise<Finished> {
    return run(process.execPath, [...programArguments('services/control/main'), ...args], {
      name: `sluicectl ${args.join(' ')}`,
      cwd: root,
      env: this.#environment,
      timeoutMs: 120_000,
    })
  }

  /** As `ctl --json`, parsed. @throws Error when it ends with another exit code than 0. */
  async ctlJson(...args: readonly string[]): Promise<unknown> {
    const finished = await this.ctl(...args, '--json')
    assert.equal(finished.code, 0, `sluicectl ${args.join(' ')}: ${finished.stderr}${finished.stdout}`)
    return JSON.parse(finished.stdout)
  }

  /** One command to the Redis that the product started for itself. */
  ownRedis(...words: readonly string[]): Promise<string> {
    return redisCommand(ownRedisSocket(this.dataFolder), words)
  }

  /** Ends a process of a service (embedded: the one process) and resolves when it is gone. */
  async kill(service: ServiceName, signal: NodeJS.Signals = 'SIGKILL', index = 0): Promise<void> {
    const { process } = this.#instance(service, index)
    process.kill(signal)
    await process.exited
  }

  /** Resolves when a process of a service has ended, by whatever it was. */
  async waitForEnd(service: ServiceName, index = 0): Promise<void> {
    await within(120_000, `the end of ${service}`, this.#instance(service, index).process.exited)
  }

  /** Nothing is on its way any more: late duplicates would have come by now. */
  async waitForEmptyQueues(): Promise<void> {
    while (/"id":/.test(JSON.stringify(await this.ctlJson('show', 'queue')))) await pause(500)
  }

  /** Until all that was accepted is accounted for, by the ledger's books. */
  async waitForBalance(): Promise<void> {
    const endsAt = Date.now() + 120_000
    for (;;) {
      const { code, stdout, stderr } = await this.ctl('audit')
      if (code === 0) return
      assert.ok(Date.now() < endsAt, `accepted is not what became of it: ${stdout}${stderr}`)
    }
  }

  /** Starts a process again that was killed; resolves when it is ready. */
  async restart(service: ServiceName, index = 0): Promise<void> {
    const instance = this.#instance(service, index)
    if (isRunning(instance)) await instance.process.stop()
    instance.process = this.#launch(instance.services)
    await ready(instance.process)
  }

  /** Drains and ends everything. @throws AssertionError when a process does not exit with 0. */
  async stop(): Promise<void> {
    const exits = await this.#end('SIGTERM')
    await this.#prepared.remove()
    for (const { label, exit } of exits) {
      assert.equal(exit.code, 0, `${label} ended with ${describeExit(exit)}\n${this.logTail()}`)
    }
  }

  async #startAll(): Promise<void> {
    const { services = defaultServices(), processes = {} } = this.#options
    if (services === 'embedded') this.#add('all', serviceNames, this.#launch(serviceNames))
    else {
      for (const name of serviceNames) {
        for (let index = 0; index < (processes[name] ?? 1); index++) {
          this.#add(`${name} ${index}`, [name], this.#launch([name]))
        }
      }
    }
    if (this.#options.logFile === undefined) {
      await Promise.all(this.#instances.map((instance) => ready(instance.process)))
    } else await waitForPort({ port: this.port('smtp') }, this.#instances.at(-1)?.process)
  }

  #add(label: string, services: readonly ServiceName[], process: RunningProcess): void {
    this.#instances.push({ label, services, process })
  }

  #launch(services: readonly ServiceName[]): RunningProcess {
    const named = services.length === serviceNames.length ? [] : services
    const { nodeArguments = [] } = this.#options
    const loadsSource = nodeArguments.some((word) => word.endsWith('.ts'))
    const program = loadsSource ? sourceArguments('services/main') : programArguments('services/main')
    const child = startProcess(process.execPath, [...nodeArguments, ...program, ...named], {
      name: `sluice ${named.join(' ')}`,
      cwd: root,
      env: this.#environment,
      ...(this.#options.logFile === undefined ? {} : { outputFile: this.#options.logFile }),
    })
    child.onLine((line) => {
      this.log.push(parseLine(line))
      this.#changes.changed()
    })
    return child
  }

  #instance(service: ServiceName, index: number): Instance {
    const instance = this.#instances.filter((one) => one.services.includes(service))[index]
    if (instance === undefined) throw new Error(`no process ${index} of ${service}`)
    return instance
  }

  async #end(signal: NodeJS.Signals): Promise<readonly { readonly label: string; readonly exit: Exit }[]> {
    const alive = this.#instances.filter(isRunning)
    return Promise.all(
      alive.map(async ({ label, process }) => {
        if (signal === 'SIGKILL') process.kill(signal)
        return { label, exit: await process.stop(120_000) }
      }),
    )
  }
}

interface Prepared {
  readonly ports: Readonly<Record<string, number>>
  readonly dataFolder: string
  readonly environment: Readonly<Record<string, string>>
  /** One file, its placeholders filled in. */
  write(name: string, text: string): Promise<void>
  remove(): Promise<void>
}

/** Writes the configuration with its placeholders filled in. */
async function prepare(options: MailSystemOptions): Promise<Prepared> {
  const folder = await tempFolder('sys')
  const dataFolder = options.dataFolder ?? join(folder.path, 'data')
  await mkdir(dataFolder, { recursive: true }).catch(() => undefined)
  const files: Readonly<Record<string, string>> = {
    'smtpd.conf': options.conf,
    'pipeline.conf': withDashboard(options.pipeline ?? ''),
    ...options.files,
  }
  const known: Record<string, string> = { data: dataFolder, folder: folder.path, fixtures: fixture('').slice(0, -1) }
  const ports = await reservePorts(Object.values(files), known)
  const write = async (name: string, text: string): Promise<void> => {
    const path = join(folder.path, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(
      path,
      text.replaceAll(placeholder, (_whole, word: string) => known[word] ?? `${ports[word]}`),
    )
  }
  for (const [name, text] of Object.entries(files)) await write(name, text)
  return {
    ports,
    write,
    dataFolder,
    remove: async () => {
      await stopOwnRedis(dataFolder)
      if (process.env['SLUICE_KEEP'] !== '1') await folder.remove()
    },
    environment: {
      SLUICE_DATA: dataFolder,
      SMTPD_CONF: join(folder.path, 'smtpd.conf'),
      PIPELINE_CONF: join(folder.path, 'pipeline.conf'),
      SMTPD_HOSTNAME: 'mx.sluice.test',
      ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
      ...options.env,
    },
  }
}

const placeholder = /\{\{([a-z][\w-]*)\}\}/g

async function reservePorts(
  texts: readonly string[],
  known: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, number>>> {
  const words = texts.flatMap((text) => [...text.matchAll(placeholder)].map((match) => match[1] as string))
  const names = [...new Set(words)].filter((word) => known[word] === undefined)
  const ports = await freePorts(names.length)
  return Object.fromEntries(names.map((name, index) => [name, ports[index] as number]))
}

/** No two systems of a machine may want the default port. */
function withDashboard(pipeline: string): string {
  return /^\s*dashboard\s/m.test(pipeline) ? pipeline : `${pipeline}\ndashboard listen "127.0.0.1:{{http}}"\n`
}

function defaultServices(): 'embedded' | 'processes' {
  return process.env['SLUICE_TEST_SERVICES'] === 'processes' ? 'processes' : 'embedded'
}

async function ready(process: RunningProcess): Promise<void> {
  await process.waitForLine((line) => parseLine(line).msg === 'ready', 120_000)
}

function isRunning(instance: Instance): boolean {
  return instance.process.exit === undefined
}

function parseLine(line: string): LogLine {
  if (!line.startsWith('{')) return { msg: line }
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return { msg: line }
  }
}
