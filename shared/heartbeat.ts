import { mkdir, readFile, readdir, rename, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

import type { RateFigures } from './rate-meter.ts'

/** What a service of some process says about itself every few seconds. */
export interface Heartbeat {
  readonly service: string
  readonly host: string
  readonly pid: number
  readonly startedAt: number
  /** When it was said, epoch ms. */
  readonly at: number
  /** When the service last took a job; absent before the first, and for services that take none. */
  readonly lastJobAt?: number
  readonly listens: readonly string[]
  /** Clients that are connected, by what it listens on. */
  readonly connections?: Readonly<Record<string, number>>
  /** What its process runs. */
  readonly versions?: Versions
  /** One sentence each; empty when all is well. */
  readonly troubles: readonly string[]
  /** What keeps it from its work now, one sentence each; absent: nothing. */
  readonly lacks?: readonly string[]
  /** What an operator should know and is no trouble; absent: nothing. */
  readonly notes?: readonly string[]
  readonly configuration?: ConfigurationState
  /** Absent for services that take no jobs. */
  readonly work?: WorkFigures
  /** Jobs that its process added, by queue: told by one service of each process. */
  readonly added?: Readonly<Record<string, RateFigures>>
}

export interface Versions {
  readonly sluice: string
  readonly node: string
}

/** What a service does at its queue. */
export interface WorkFigures {
  readonly queue: string
  /** Jobs it works on at a time, at most. */
  readonly handlers: number
  /** Now. */
  readonly busy: number
  /** Jobs that came to an end, an attempt that is made again included. */
  readonly done: RateFigures
}

/** What a process says of its configuration. */
export interface ConfigurationState {
  /** In force. */
  readonly revision: string
  /** Why the files as they are now are not; rendered. */
  readonly fault?: string
  /** The last `sluicectl reload` that it carried out. */
  readonly request?: string
  /** What the last reload found odd, what waits for the next start included; rendered. */
  readonly warnings?: readonly string[]
  /** What takes effect at the next start only; rendered. */
  readonly waiting?: readonly string[]
}

export interface BeatingService {
  readonly service: string
  readonly listens: readonly string[]
  lastJobAt(): number | undefined
  connections?(): Readonly<Record<string, number>> | undefined
  work?(): WorkFigures | undefined
  troubles(): Promise<readonly string[]>
  lacks?(): Promise<readonly string[]>
  notes?(): readonly string[]
}

/** Those of one process. */
export interface Heartbeats {
  /** Says it now: something has changed. */
  beat(): void
  stop(): Promise<void>
}

/** What is the same for all services of the process. */
export interface WholeProcess {
  configuration?(): ConfigurationState
  readonly versions?: Versions
  /** Jobs it added, by queue. */
  added?(): ReadonlyMap<string, RateFigures>
}

const beatMs = 5_000
/** A heartbeat this old is that of a dead process. */
export const deadAfterMs = 20_000

/**
 * Writes the heartbeats of this process's services as small files below the data folder: they need no Redis, so that health can be
 * told while it is away. Removed by `stop`; those of a killed process grow old.
 */
export async function startHeartbeats(
  dataFolder: string,
  services: readonly BeatingService[],
  now: () => number,
  whole?: WholeProcess,
): Promise<Heartbeats> {
  const folder = join(dataFolder, 'run', 'services')
  await mkdir(folder, { recursive: true })
  const startedAt = now()
  const host = hostname()
  const pathOf = (service: string): string => join(folder, `${service}.${host}.${process.pid}.json`)
  let beating: Promise<void> = Promise.resolve()

  async function beat(): Promise<void> {
    await Promise.all(services.map((one, index) => write(one, index === 0)))
  }

  async function write(one: BeatingService, isFirst: boolean): Promise<void> {
    const lastJobAt = one.lastJobAt()
    const work = one.work?.()
    const notes = one.notes?.() ?? []
    const lacks = (await one.lacks?.()) ?? []
    const connections = one.connections?.()
    const added = isFirst ? whole?.added?.() : undefined
    const heartbeat: Heartbeat = {
      service: one.service,
      host,
      pid: process.pid,
      startedAt,
      at: now(),
      ...(lastJobAt === undefined ? {} : { lastJobAt }),
      listens: one.listens,
      ...(connections === undefined ? {} : { connections }),
      ...(whole?.versions === undefined ? {} : { versions: whole.versions }),
      troubles: await one.troubles(),
      ...(lacks.length === 0 ? {} : { lacks }),
      ...(notes.length === 0 ? {} : { notes }),
      ...(whole?.configuration === undefined ? {} : { configuration: whole.configuration() }),
      ...(work === undefined ? {} : { work }),
      ...(added === undefined ? {} : { added: Object.fromEntries(added) }),
    }
    const path = pathOf(one.service)
    await writeFile(`${path}.new`, JSON.stringify(heartbeat))
    await rename(`${path}.new`, path)
  }

  // A full disk must not end the process: the heartbeat then grows old, which is what it is for.
  const beatQuietly = (): void => {
    beating = beating.then(beat).catch(() => undefined)
  }
  await beat().catch(() => undefined)
  const timer = setInterval(beatQuietly, beatMs)
  timer.unref()
  return {
    beat: beatQuietly,
    async stop() {
      clearInterval(timer)
      await beating
      await Promise.all(services.map((one) => unlink(pathOf(one.service)).catch(() => undefined)))
    },
  }
}

/** All heartbeats younger than an hour, the freshest first; `at` tells the living from the dead (`deadAfterMs`). */
export async function readHeartbeats(dataFolder: string, nowAt: number): Promise<readonly Heartbeat[]> {
  const folder = join(dataFolder, 'run', 'services')
  const names = await readdir(folder).catch(() => [])
  const found: Heartbeat[] = []
  for (const name of names.filter((one) => one.endsWith('.json'))) {
    const heartbeat = parse(await readFile(join(folder, name), 'utf8').catch(() => ''))
    if (heartbeat === undefined) continue
    if (nowAt - heartbeat.at > 3_600_000) await unlink(join(folder, name)).catch(() => undefined)
    else found.push(heartbeat)
  }
  return found.toSorted((one, other) => other.at - one.at)
}

/** Queues that some living process takes jobs from. */
export async function workedQueues(dataFolder: string, nowAt: number): Promise<ReadonlySet<string>> {
  const living = (await readHeartbeats(dataFolder, nowAt)).filter(({ at }) => nowAt - at <= deadAfterMs)
  return new Set(living.flatMap(({ work }) => (work === undefined ? [] : [work.queue])))
}

/** What the living have to say, each thing once. */
export function notesOf(beats: readonly Heartbeat[], nowAt: number): readonly string[] {
  return [...new Set(beats.flatMap(({ at, notes = [] }) => (nowAt - at > deadAfterMs ? [] : notes)))]
}

/** A silent service that a living one of the same name on the same host replaced is no longer news. */
export function withoutReplaced(beats: readonly Heartbeat[], nowAt: number): readonly Heartbeat[] {
  const living = beats.filter(({ at }) => nowAt - at <= deadAfterMs)
  const isReplaced = ({ service, host, startedAt }: Heartbeat): boolean =>
    living.some((other) => other.service === service && other.host === host && other.startedAt > startedAt)
  return beats.filter((beat) => nowAt - beat.at <= deadAfterMs || !isReplaced(beat))
}

function parse(text: string): Heartbeat | undefined {
  try {
    return JSON.parse(text) as Heartbeat
  } catch {
    return undefined
  }
}
