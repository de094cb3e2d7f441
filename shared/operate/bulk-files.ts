import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import { withFileLock } from '../file-lock.ts'
import type { MessageId } from '../mail/message-id.ts'
import { putFile } from '../start/put-file.ts'
import type { BulkMessage, BulkOrder } from './bulk-order.ts'
import { OperationError } from './operation-error.ts'

/** An order that is carried out on what a search found, piece by piece. */
export interface BulkRun {
  readonly id: string
  readonly order: BulkOrder
  /** As the story of each message tells it: `jane (dashboard)`. */
  readonly by: string
  readonly startedAt: number
  /** Messages that are meant. */
  readonly messages: number
  /** `stopped`: its process ended. That, `failed` and `cancelled` can go on. */
  readonly state: 'running' | 'stopped' | 'cancelled' | 'failed' | 'done'
  /** Messages that had their turn. */
  readonly turns: number
  /** Jobs it was done to; messages that were replayed. */
  readonly done: number
  /** A worker had them, or they could not be. */
  readonly left: number
  /** Why it failed, or one of them was left. */
  readonly reason?: string
  /** Epoch ms of its last sign of life. */
  readonly at: number
}

/** A run as its file has it. */
interface Kept extends BulkRun {
  /** Who works on it. */
  readonly worker?: string
}

/** Nobody works on a run that says nothing for so long. */
const silentMs = 30_000
const keptMs = 30 * 86_400_000
const mostListed = 500
const idPattern = /^[0-9a-z]{9}-[0-9a-f]{8}$/

/** Runs in `<data>/bulk`: how far each is, and the messages that are meant. Several processes may look at once. */
export class BulkFiles {
  readonly #folder: string
  readonly #clock: Clock

  constructor(dataFolder: string, clock: Clock) {
    this.#folder = join(dataFolder, 'bulk')
    this.#clock = clock
  }

  /** Keeps a new one, which nobody works on yet; those of the last month stay. */
  async add(run: BulkRun, messages: readonly BulkMessage[]): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    for (const name of await this.#names())
      if (Number.parseInt(name, 36) < this.#clock.now() - keptMs) await rm(join(this.#folder, name), { force: true })
    await putFile(this.#path(run.id, 'copies'), messages.map(lineOf).join(''), 0o600)
    await this.#put(run)
  }

  async find(id: string): Promise<BulkRun | undefined> {
    const run = await this.#read(id)
    if (run?.state !== 'running' || this.#clock.now() - run.at < silentMs) return run
    return { ...run, state: 'stopped' }
  }

  /** Newest first, the last 500. */
  async list(): Promise<readonly BulkRun[]> {
    const ids = (await this.#names()).flatMap((name) => (name.endsWith('.json') ? [name.slice(0, -5)] : []))
    // An id begins with its time.
    const newest = ids.toSorted((one, other) => (one < other ? 1 : -1)).slice(0, mostListed)
    const runs = await Promise.all(newest.map((id) => this.find(id)))
    return runs.filter((run) => run !== undefined).toSorted((one, other) => other.startedAt - one.startedAt)
  }

  /** In the order they have their turn. */
  async messages(id: string): Promise<readonly BulkMessage[]> {
    const lines = (await readFile(this.#path(id, 'copies'), 'utf8')).split('\n')
    return lines.filter((line) => line !== '').map(messageOf)
  }

  /** One worker at a time has a run. @throws OperationError when another has it, it is done, or there is none */
  async claim(id: string, worker: string): Promise<BulkRun> {
    return this.#alone(id, async (run) => {
      if (run.state === 'running') throw new OperationError(`run ${id} is under way`)
      if (run.state === 'done') throw new OperationError(`run ${id} has come to its end`)
      await rm(this.#path(id, 'cancel'), { force: true })
      const { reason: _, ...rest } = run
      const claimed: Kept = { ...rest, state: 'running', worker, at: this.#clock.now() }
      await this.#put(claimed)
      return claimed
    })
  }

  /** False: it was silent for too long, and another has taken it up. */
  async save(run: BulkRun, worker: string): Promise<boolean> {
    if ((await this.#read(run.id))?.worker !== worker) return false
    await this.#put({ ...run, worker })
    return true
  }

  /** Its worker is told at its next piece. @throws OperationError when it has ended, or there is none */
  async cancel(id: string): Promise<void> {
    await this.#alone(id, async (run) => {
      if (run.state === 'done' || run.state === 'cancelled') throw new OperationError(`run ${id} has come to its end`)
      if (run.state === 'running') await writeFile(this.#path(id, 'cancel'), '', { mode: 0o600 })
      else await this.#put({ ...run, state: 'cancelled', at: this.#clock.now() })
    })
  }

  async isCancelled(id: string): Promise<boolean> {
    return (await stat(this.#path(id, 'cancel')).catch(() => undefined)) !== undefined
  }

  async #alone<T>(id: string, act: (run: BulkRun) => Promise<T>): Promise<T> {
    if ((await this.find(id)) === undefined) throw new OperationError(`there is no run ${id}`)
    return withFileLock(this.#path(id, 'lock'), async () => {
      const run = await this.find(id)
      if (run === undefined) throw new OperationError(`there is no run ${id}`)
      return act(run)
    })
  }

  async #names(): Promise<readonly string[]> {
    const names = await readdir(this.#folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    })
    return names.filter((name) => idPattern.test(name.split('.')[0] ?? ''))
  }

  async #read(id: string): Promise<Kept | undefined> {
    if (!idPattern.test(id)) return undefined
    const text = await readFile(this.#path(id, 'json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    return text === undefined ? undefined : (JSON.parse(text) as Kept)
  }

  #put(run: Kept): Promise<void> {
    return putFile(this.#path(run.id, 'json'), `${JSON.stringify(run)}\n`, 0o600)
  }

  #path(id: string, what: 'json' | 'copies' | 'cancel' | 'lock'): string {
    return join(this.#folder, `${id}.${what}`)
  }
}

/** `0mi8v2c4bm00000001 0,2` */
function lineOf({ id, copies }: BulkMessage): string {
  return `${id} ${[...copies].join(',')}\n`
}

function messageOf(line: string): BulkMessage {
  const [id = '', copies = ''] = line.split(' ')
  return { id: id as MessageId, copies: new Set(copies.split(',').map(Number)) }
}
