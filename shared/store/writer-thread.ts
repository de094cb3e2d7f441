import { readlinkSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { basename } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'

import type { MessageId } from '../mail/message-id.ts'
import type { TrimQuestion } from './trim.ts'
import { StoreWriter } from './store-writer.ts'
import type { OpenPage, OpenQuestion } from './open-copies.ts'

/** What the thread of event-store.ts is asked, by kind, and what it answers. */
export interface WriterWork {
  readonly unaccepted: { readonly ask: readonly MessageId[]; readonly answer: readonly MessageId[] }
  readonly openCopies: { readonly ask: OpenQuestion; readonly answer: OpenPage }
  readonly auditedSince: { readonly ask: undefined; readonly answer: number }
  readonly trim: { readonly ask: TrimQuestion; readonly answer: boolean }
  readonly behindBytes: { readonly ask: undefined; readonly answer: number }
  readonly close: { readonly ask: undefined; readonly answer: undefined }
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
const troubleMs = 5_000

if (parentPort !== null) run(parentPort, workerData as string)

/** Mail goes before the books: on a busy host this thread gets what is left, and takes over later what it missed. Linux alone has a priority for threads. */
function giveWay(): void {
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // Elsewhere it has its share like the others.
  }
}

/** Looks into the journal again and again, and answers in between. */
function run(port: MessagePort, folder: string): void {
  const tell = (message: WriterMessage): void => port.postMessage(message)
  const writer = new StoreWriter({
    folder,
    now: () => Date.now(),
    warn: (fields, text) => tell({ kind: 'warning', fields, text }),
  })
  giveWay()
  let timer = setTimeout(look)
  let told: string | undefined = 'nothing yet'

  function look(): void {
    let pauseMs = lookMs
    try {
      if (writer.tick() >= behindBytes) pauseMs = 0
      looked()
    } catch (error) {
      looked((error as Error).message)
      pauseMs = troubleMs
    }
    timer = setTimeout(look, pauseMs)
  }

  /** Told when it is another than before. */
  function looked(trouble?: string): void {
    if (trouble === told) return
    told = trouble
    tell({ kind: 'looked', ...(trouble === undefined ? {} : { trouble }) })
  }

  function answer({ kind, ask }: WriterQuestion): unknown {
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
        writer.close()
        return undefined
    }
  }

  port.on('message', (question: WriterQuestion) => {
    const { number } = question
    try {
      tell({ kind: 'answer', number, answer: answer(question) })
    } catch (error) {
      tell({ kind: 'refusal', number, reason: (error as Error).message })
    }
    if (question.kind === 'close') port.close()
  })
}
