import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { DigestSettings } from '../config/model.ts'
import { codeOf } from '../file-lock.ts'
import { isMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { Notes } from '../queue/queues.ts'

/** What was told so far: a restart tells nothing twice, nor does another host of the same spool whose ledger takes over. */
export interface DigestState {
  /** Mail that was kept back until then was told; epoch ms. */
  readonly toldUntil: number
  /** When digests were sent, or first wanted; the next ones are due by it. */
  readonly lastAt: number
  /** Digests that are being sent: about mail until then, their ids made from this one. */
  readonly sending?: { readonly until: number; readonly seed: MessageId }
}

/** Where it is kept: on disk, and for other hosts in Redis, which may be emptied. */
export interface DigestPlace {
  readonly dataFolder: string
  readonly notes: Notes
}

const dayMs = 86_400_000
const noteName = 'digests'

/** When the next digests are due. By the clock of this host, daylight saving included. */
export function nextDigestAt(lastAt: number, { everyMs, atMinute }: DigestSettings): number {
  if (atMinute === undefined) return lastAt + everyMs
  const earliest = lastAt + everyMs - dayMs
  const day = new Date(earliest)
  const due = (ahead: number): number =>
    new Date(day.getFullYear(), day.getMonth(), day.getDate() + ahead, 0, atMinute).getTime()
  return due(0) > earliest ? due(0) : due(1)
}

/** The later of the two. */
export async function readDigestState({ dataFolder, notes }: DigestPlace): Promise<DigestState | undefined> {
  const onDisk = await readState(dataFolder)
  const told = await notes.read(noteName)
  const elsewhere = told === undefined ? undefined : parse(told)
  if (onDisk === undefined || elsewhere === undefined) return onDisk ?? elsewhere
  return isLater(elsewhere, onDisk) ? elsewhere : onDisk
}

/** On disk when it resolves. */
export async function writeDigestState({ dataFolder, notes }: DigestPlace, state: DigestState): Promise<void> {
  const text = `${JSON.stringify(state)}\n`
  const path = fileOf(dataFolder)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const next = `${path}.${process.pid}`
  await writeFile(next, text, { mode: 0o600, flush: true })
  await rename(next, path)
  await notes.write(noteName, text)
}

/** Sending begins behind `lastAt` and ends with another. */
function isLater(one: DigestState, other: DigestState): boolean {
  return one.lastAt === other.lastAt ? other.sending === undefined : one.lastAt > other.lastAt
}

async function readState(dataFolder: string): Promise<DigestState | undefined> {
  try {
    return parse(await readFile(fileOf(dataFolder), 'utf8'))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function fileOf(dataFolder: string): string {
  return join(dataFolder, 'quarantine', 'digests.json')
}

function parse(text: string): DigestState | undefined {
  const { toldUntil, lastAt, sending } = JSON.parse(text) as Partial<DigestState>
  if (typeof toldUntil !== 'number' || typeof lastAt !== 'number') return undefined
  const isSending = typeof sending?.until === 'number' && isMessageId(sending.seed)
  return { toldUntil, lastAt, ...(isSending ? { sending } : {}) }
}
