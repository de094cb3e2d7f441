import { readlinkSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { basename } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'

import type { MessageId } from '../mail/message-id.ts'
import type { TrimQuestion } from './trim.ts'
import { openStoreWriter } from './open-store.ts'
import type { OpenPage, OpenQuestion } from './open-copies.ts'
import type { StorePlace } from './store-place.ts'

/** What the thread of event-store.ts is asked, by kind, and what it answers. */
export interface WriterWork {
  readonly unaccepted: { readonly ask: readonly MessageId[]; readonly answer: readonly MessageId[] }
  readonly openCopies: { readonly ask: OpenQuestion; readonly answer: OpenPage }
  readonly auditedSince: { readonly ask: undefined; readonly answer: number }
  readonly trim: { readonly ask: TrimQuestion; readonly answer: boolean }
  readonly behindBytes: { readonly ask: undefined; readonly answer: number }
  readonly close: { readonly ask: undefined; readonly answer: undefined }
}

export interface WriterPlace {
  /** Of the journal. */
  readonly folder: string
  readonly place: StorePlace
}

export interface WriterQuestion {
  readonly number: number
  readonly kind: keyof WriterWork
  readonly ask: unknown
}

/** Answers, and what nobody asked: warnings for the log, and whether it can do its work. */
export type WriterMessage =
  | { readonly kind: 'answer'; readonly number: number; readonly answer: unknown }
  | { readonly kind: 'refusal'; readonly number: number; readonly reason: string }
  | { readonly kind: 'warning'; readonly fields: object; readonly text: string }
  /** `trouble` is absent when the last look at the journal went well. */
  | { readonly kind: 'looked'; readonly trouble?: string }

const lookMs = 400
/** More than this is not what came in since the last look: what was behind is taken over without a pause. Many lines share one transaction. */
const behindBytes = 512 * 1024
/** After the first failure; each further one doubles it. */
const troubleMs = 1_000
const mostTroubleMs = 30_000

if (parentPort !== null) await run(parentPort, workerData as WriterPlace)

/** Mail goes before the books: on a busy host this thread gets what is left, and takes over later what it missed. Linux alone has a priority for threads. */
function giveWay(): void {
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // Elsewhere it has its share like the others.
  }
}

/** Looks into the journal again and again, and answers in between. */
async function run(port: MessagePort, { folder, place }: WriterPlace): Promise<void> {
  const tell = (message: WriterMessage): void => port.postMessage(message)
  const writer = await openStoreWriter({
    folder,
    place,
    now: () => Date.now(),
    warn: (fields, text) => tell({ kind: 'warning', fields, text }),
  })
  giveWay()
  let timer = setTimeout(look)
  let told: string | undefined = 'nothing yet'
  let isClosing = false
  let failures = 0
  let turn: Promise<unknown> = Promise.resolve()

  /** What is asked of the writer is done one after another. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work)
    turn = done.catch(() => undefined)
    return done
  }

  function look(): void {
    void inTurn(lookOnce).then((pauseMs) => {
      if (!isClosing) timer = setTimeout(look, pauseMs)
    })
  }

  /** How long to wait for the next look. */
  async function lookOnce(): Promise<number> {
    try {
      const bytes = await writer.tick()
      looked()
      failures = 0
      return bytes >= behindBytes ? 0 : lookMs
    } catch (error) {
      looked((error as Error).message)
      failures += 1
      return Math.min(mostTroubleMs, troubleMs * 2 ** (failures - 1))
    }
  }

  /** Told when it is another than before. */
  function looked(trouble?: string): void {
    if (trouble === told) return
    told = trouble
    tell({ kind: 'looked', ...(trouble === undefined ? {} : { trouble }) })
  }

  async function answer({ kind, ask }: WriterQuestion): Promise<unknown> {
    switch (kind) {
      case 'unaccepted':
        return writer.unaccepted(ask as readonly MessageId[])
      case 'openCopies':
        return writer.openCopies(ask as OpenQuestion)
      case 'auditedSince':
        return writer.auditedSince()
      case 'trim':
        return writer.trim(ask as TrimQuestion)
      case 'behindBytes':
        return writer.behindBytes()
      case 'close':
        clearTimeout(timer)
        await writer.close()
        return undefined
    }
  }

  async function reply(question: WriterQuestion): Promise<void> {
    const { number } = question
    try {
      tell({ kind: 'answer', number, answer: await inTurn(() => answer(question)) })
    } catch (error) {
      tell({ kind: 'refusal', number, reason: (error as Error).message })
    }
    if (question.kind === 'close') port.close()
  }

  port.on('message', (question: WriterQuestion) => {
    isClosing ||= question.kind === 'close'
    void reply(question)
  })
}
