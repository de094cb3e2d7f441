import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { DigestSettings } from '../config/model.ts'
import { codeOf } from '../file-lock.ts'
import { isMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'

/** What was told so far, in the data folder: a restart tells nothing twice. */
export interface DigestState {
  /** Mail that was kept back until then was told; epoch ms. */
  readonly toldUntil: number
  /** When digests were sent, or first wanted; the next ones are due by it. */
  readonly lastAt: number
  /** Digests that are being sent: about mail until then, their ids made from this one. */
  readonly sending?: { readonly until: number; readonly seed: MessageId }
}

const dayMs = 86_400_000

/** When the next digests are due. By the clock of this host, daylight saving included. */
export function nextDigestAt(lastAt: number, { everyMs, atMinute }: DigestSettings): number {
  if (atMinute === undefined) return lastAt + everyMs
  const earliest = lastAt + everyMs - dayMs
  const day = new Date(earliest)
  const due = (ahead: number): number =>
    new Date(day.getFullYear(), day.getMonth(), day.getDate() + ahead, 0, atMinute).getTime()
  return due(0) > earliest ? due(0) : due(1)
}

export async function readDigestState(dataFolder: string): Promise<DigestState | undefined> {
  try {
    return parse(await readFile(fileOf(dataFolder), 'utf8'))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** On disk when it resolves. */
export async function writeDigestState(dataFolder: string, state: DigestState): Promise<void> {
  const path = fileOf(dataFolder)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const next = `${path}.${process.pid}`
  await writeFile(next, `${JSON.stringify(state)}\n`, { mode: 0o600, flush: true })
  await rename(next, path)
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
