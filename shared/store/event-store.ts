import type { Worker } from 'node:worker_threads'

import type { Logger } from '../log.ts'
import type { MessageId } from '../mail/message-id.ts'
import { startWorker } from '../workers/start-worker.ts'
import type { OpenPage, OpenQuestion } from './open-copies.ts'
import type { StorePlace } from './store-place.ts'
import type { TrimQuestion } from './trim.ts'
import type { WriterMessage, WriterPlace, WriterQuestion, WriterWork } from './writer-thread.ts'

/**
 * What the journal says, kept so that it can be searched. Follows the journal by itself; one per data folder.
 */
export interface EventStore {
  /** Those of the messages of whose acceptance the store knows nothing. */
  unaccepted(ids: readonly MessageId[]): Promise<readonly MessageId[]>
  openCopies(question: OpenQuestion): Promise<OpenPage>
  /** Since when each loss would be seen, epoch ms. */
  auditedSince(): Promise<number>
  /** A short step of cleaning up; true: there is more to do. */
  trim(question: TrimQuestion): Promise<boolean>
  /** Octets of the journal it does not know yet. */
  behindBytes(): Promise<number>
  /** Why it does not do its work now. */
  readonly trouble: string | undefined
  close(): Promise<void>
}

const startAgainMs = 5_000

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/** The store of the journal in the folder, written in a thread: lines are read there, and SQLite blocks. A thread that ends is started again. */
export function openEventStore(folder: string, place: StorePlace, log: Logger): EventStore {
  const waiting = new Map<number, Waiting>()
  let trouble: string | undefined
  let timer: NodeJS.Timeout | undefined
  let isClosing = false
  let count = 0
  let worker: Worker | undefined = start()

  function start(): Worker {
    const one = startWorker('./writer-thread.ts', import.meta.url, {
      workerData: { folder, place } satisfies WriterPlace,
    })
    one.on('message', take)
    one.on('error', (error: Error) => ended(one, error.message))
    one.on('exit', () => ended(one, 'its thread has ended'))
    return one
  }

  function take(message: WriterMessage): void {
    switch (message.kind) {
      case 'answer':
        waiting.get(message.number)?.resolve(message.answer)
        waiting.delete(message.number)
        return
      case 'refusal':
        waiting.get(message.number)?.reject(new Error(message.reason))
        waiting.delete(message.number)
        return
      case 'warning':
        log.warn(message.fields, message.text)
        return
      case 'looked':
        setTrouble(message.trouble)
    }
  }

  function setTrouble(reason: string | undefined): void {
    if (reason !== undefined && trouble === undefined)
      log.warn({ reason }, 'the message store is not written; tried again')
    if (reason === undefined && trouble !== undefined) log.info({}, 'the message store is written again')
    trouble = reason
  }

  function ended(one: Worker, reason: string): void {
    if (one !== worker) return
    worker = undefined
    for (const { reject } of waiting.values()) reject(new Error(`the message store cannot be asked: ${reason}`))
    waiting.clear()
    if (isClosing) return
    setTrouble(reason)
    timer = setTimeout(() => (worker = start()), startAgainMs)
  }

  function ask<Kind extends keyof WriterWork>(
    kind: Kind,
    question: WriterWork[Kind]['ask'],
  ): Promise<WriterWork[Kind]['answer']> {
    return new Promise((resolve, reject) => {
      if (worker === undefined) return reject(new Error('the message store cannot be asked now'))
      count += 1
      waiting.set(count, { resolve: resolve as (answer: unknown) => void, reject })
      worker.postMessage({ number: count, kind, ask: question } satisfies WriterQuestion)
    })
  }

  return {
    unaccepted: (ids) => ask('unaccepted', ids),
    openCopies: (question) => ask('openCopies', question),
    auditedSince: () => ask('auditedSince', undefined),
    trim: (question) => ask('trim', question),
    behindBytes: () => ask('behindBytes', undefined),
    get trouble() {
      return trouble
    },
    async close() {
      isClosing = true
      clearTimeout(timer)
      const one = worker
      if (one === undefined) return
      await ask('close', undefined).catch((error: unknown) =>
        log.warn({ err: error }, 'the message store was not closed'),
      )
      await one.terminate()
    },
  }
}
