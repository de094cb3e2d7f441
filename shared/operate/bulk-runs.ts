import { randomBytes } from 'node:crypto'

import type { Audit } from '../audit.ts'
import type { Clock } from '../clock.ts'
import { QueueUnavailableError } from '../queue/unavailable.ts'
import { plural } from '../report/units.ts'
import type { ChosenMessages } from '../store/found-message.ts'
import { parseQuery } from '../store/query.ts'
import type { Query } from '../store/query.ts'
import type { ChoiceQuestion } from '../store/store-reader.ts'
import { BulkFiles } from './bulk-files.ts'
import type { BulkRun } from './bulk-files.ts'
import { meantBy, mostBulk, previewOf } from './bulk-order.ts'
import type { BulkAction, BulkMessage, BulkOrder, BulkPreview } from './bulk-order.ts'
import type { BulkWork, DoPiece } from './bulk-work.ts'
import { OperationError } from './operation-error.ts'

/** Who asks, and from where: for the story of the messages, and for the audit log. */
export interface Asker {
  /** `jane (dashboard)` */
  readonly by: string
  readonly name: string
  readonly from: string
}

/** What is done to all that a search finds: kept on disk, so that it can be watched, cancelled and taken up again, also by another process. */
export interface BulkRuns {
  /** @throws QueryError; an Error when there is no message store */
  preview(asked: Pick<BulkOrder, 'query' | 'asOf'>): Promise<BulkPreview>
  /** Finds what is meant and keeps it; nobody works on it yet. @throws OperationError, QueryError */
  begin(order: BulkOrder, asker: Asker): Promise<BulkRun>
  /**
   * Works on it to its end, or until `close`. What broke off is taken up where it was: the last piece may have its turn again, which changes nothing,
   * but nothing is replayed twice.
   * @throws OperationError when another works on it, it is done, or there is none
   */
  work(id: string, asker: Asker, tell?: (run: BulkRun) => void): Promise<BulkRun>
  /** It ends before its next piece. @throws OperationError when it has ended, or there is none */
  cancel(id: string, asker: Asker): Promise<void>
  find(id: string): Promise<BulkRun | undefined>
  /** Of the last 30 days, newest first, 500 at most. */
  list(): Promise<readonly BulkRun[]>
  /** Resolves when nothing is worked on here any more. */
  close(): Promise<void>
}

export interface BulkParts {
  readonly dataFolder: string
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
  readonly bulk: BulkWork
  choose(question: ChoiceQuestion): Promise<ChosenMessages>
}

const pieceMessages = 100
/** They count as left before they have their turn, so that what breaks off is not sent twice. */
const replayedMessages = 4
const beatMs = 5_000

export function createBulkRuns(parts: BulkParts): BulkRuns {
  const { clock, audit, bulk, choose } = parts
  const files = new BulkFiles(parts.dataFolder, clock)
  const working = new Set<Promise<unknown>>()
  const closing = new AbortController()

  function record({ order }: BulkRun, { name: by, from }: Asker, detail: string, outcome: 'done' | 'refused'): void {
    audit.record({ by, from, action: `${orderName(order)}, by search`, about: order.query, outcome, detail })
  }

  async function work(id: string, asker: Asker, tell: (run: BulkRun) => void): Promise<BulkRun> {
    const worker = randomBytes(8).toString('hex')
    const claimed = await files.claim(id, worker)
    const progress = new Progress(files, claimed, { worker, clock, tell })
    const end = await toTheEnd(progress, bulk, closing.signal)
    const outcome = end.state === 'done' || end.state === 'cancelled' ? 'done' : 'refused'
    record(end, asker, describeRun(end), outcome)
    return end
  }

  return {
    preview: async ({ query, asOf }) => previewOf(await choose({ query: queryAsOf(query, asOf), most: mostBulk })),
    async begin(order, asker) {
      await bulk.check(order)
      const { messages, isCut } = await choose({ query: queryAsOf(order.query, order.asOf), most: mostBulk })
      if (isCut)
        throw new OperationError(`more than ${mostBulk} messages are found: name a time or an address, like after:1d`)
      const meant = meantBy(order, messages)
      if (meant.length === 0) throw new OperationError(`nothing that is found can be ${pastName(order)}`)
      const run = newRun(order, asker.by, { messages: meant.length, at: clock.now() })
      await files.add(run, meant)
      record(run, asker, `run ${run.id} of ${plural(meant.length, 'message')}`, 'done')
      return run
    },
    work(id, asker, tell = () => {}) {
      const running = work(id, asker, tell).finally(() => working.delete(running))
      working.add(running)
      return running
    },
    async cancel(id, asker) {
      await files.cancel(id)
      const run = await files.find(id)
      if (run !== undefined) record(run, asker, `run ${id} is cancelled`, 'done')
    },
    find: (id) => files.find(id),
    list: () => files.list(),
    async close() {
      closing.abort()
      await Promise.allSettled(working)
    },
  }
}

/** Its times count from then, and it finds nothing that was accepted later. @throws QueryError */
export function queryAsOf(text: string, asOf: number): Query {
  const query = parseQuery(text, asOf)
  return { ...query, before: Math.min(query.before ?? Number.MAX_SAFE_INTEGER, asOf + 1) }
}

function newRun(order: BulkOrder, by: string, { messages, at }: Pick<BulkRun, 'messages' | 'at'>): BulkRun {
  const id = `${at.toString(36).padStart(9, '0')}-${randomBytes(4).toString('hex')}`
  return { id, order, by, startedAt: at, messages, state: 'stopped', turns: 0, done: 0, left: 0, at }
}

/** How far a run is, on disk after each change and every few seconds. */
class Progress {
  readonly #files: BulkFiles
  readonly #parts: {
    readonly worker: string
    readonly clock: Clock
    readonly tell: (run: BulkRun) => void
  }
  #run: BulkRun
  #saving: Promise<boolean> = Promise.resolve(true)
  readonly #timer: NodeJS.Timeout

  constructor(
    files: BulkFiles,
    run: BulkRun,
    parts: { readonly worker: string; readonly clock: Clock; readonly tell: (run: BulkRun) => void },
  ) {
    this.#files = files
    this.#run = run
    this.#parts = parts
    this.#timer = setInterval(() => void this.change({}).catch(() => {}), beatMs)
  }

  get run(): BulkRun {
    return this.#run
  }

  messages(): Promise<readonly BulkMessage[]> {
    return this.#files.messages(this.#run.id)
  }

  isCancelled(): Promise<boolean> {
    return this.#files.isCancelled(this.#run.id)
  }

  /** False: another has taken it up. */
  change(fields: Partial<Pick<BulkRun, 'state' | 'turns' | 'done' | 'left' | 'reason'>>): Promise<boolean> {
    const { worker, clock, tell } = this.#parts
    this.#run = { ...this.#run, ...fields, at: clock.now() }
    tell(this.#run)
    const run = this.#run
    this.#saving = this.#saving.catch(() => true).then(() => this.#files.save(run, worker))
    return this.#saving
  }

  stop(): BulkRun {
    clearInterval(this.#timer)
    return this.#run
  }

  async end(fields: Pick<BulkRun, 'state'> & { readonly reason?: string }): Promise<BulkRun> {
    this.stop()
    await this.change(fields)
    return this.#run
  }
}

async function toTheEnd(progress: Progress, bulk: BulkWork, closing: AbortSignal): Promise<BulkRun> {
  try {
    const { order, by, turns } = progress.run
    const messages = (await progress.messages()).slice(turns)
    const doPiece = await bulk.prepare(order, messages, by)
    const size = order.action === 'replay' ? replayedMessages : pieceMessages
    for (let start = 0; start < messages.length; start += size) {
      if (closing.aborted) return await progress.end({ state: 'stopped' })
      if (await progress.isCancelled()) return await progress.end({ state: 'cancelled' })
      const piece = messages.slice(start, start + size)
      const isOurs = order.action === 'replay' ? replayed(progress, piece, doPiece) : changed(progress, piece, doPiece)
      if (!(await isOurs)) return progress.stop()
    }
    return await progress.end({ state: 'done' })
  } catch (error) {
    const reason = (error as Error).message
    const isTold = error instanceof OperationError || error instanceof QueueUnavailableError
    const end = await progress.end({ state: 'failed', reason })
    if (!isTold) throw error
    return end
  }
}

async function changed(progress: Progress, piece: readonly BulkMessage[], doPiece: DoPiece): Promise<boolean> {
  const { done, left } = await doPiece(piece)
  const { run } = progress
  return progress.change({ turns: run.turns + piece.length, done: run.done + done, left: run.left + left })
}

async function replayed(progress: Progress, piece: readonly BulkMessage[], doPiece: DoPiece): Promise<boolean> {
  const { run } = progress
  const isOurs = await progress.change({ turns: run.turns + piece.length, left: run.left + piece.length })
  if (!isOurs) return false
  const { done, why } = await doPiece(piece)
  const reason = why === undefined ? {} : { reason: why }
  return progress.change({ done: run.done + done, left: run.left + piece.length - done, ...reason })
}

export const actionNames: Readonly<Record<BulkAction, string>> = {
  schedule: 'schedule',
  hold: 'hold',
  release: 'release',
  expire: 'return to their senders',
  remove: 'remove',
  reroute: 'reroute',
  replay: 'replay',
}

const pastWords: Readonly<Record<BulkAction, string>> = {
  schedule: 'tried now',
  hold: 'held',
  release: 'released',
  expire: 'returned to the sender',
  remove: 'removed',
  reroute: 'rerouted',
  replay: 'replayed',
}

/** `replay, copies for lab@example.org` */
export function orderName({ action, copyTo }: Pick<BulkOrder, 'action' | 'copyTo'>): string {
  return copyTo === undefined ? actionNames[action] : `${actionNames[action]}, copies for ${copyTo}`
}

/** What came of those it was done to: `copied to lab@example.org` */
export function pastName({ action, copyTo }: Pick<BulkOrder, 'action' | 'copyTo'>): string {
  return copyTo === undefined ? pastWords[action] : `copied to ${copyTo}`
}

/** How far it is, or how it ended: one sentence. */
export function describeRun({ order, state, messages, turns, done, left, reason }: BulkRun): string {
  const what = plural(done, order.action === 'replay' ? 'message' : 'job')
  const busy = left === 0 ? '' : `, ${left} left`
  const why = reason === undefined ? '' : `: ${reason}`
  const far = `${what} ${pastName(order)}${busy}`
  switch (state) {
    case 'done':
      return `${far}${why}`
    case 'running':
      return `${turns} of ${plural(messages, 'message')} had their turn: ${far}`
    case 'stopped':
    case 'cancelled':
    case 'failed':
      return `${state} when ${turns} of ${plural(messages, 'message')} had had their turn: ${far}${why}`
  }
}
