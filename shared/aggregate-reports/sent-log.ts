import { appendFile, mkdir, readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { codeOf } from '../file-lock.ts'
import type { MessageId } from '../mail/message-id.ts'
import { parseDay } from './facts.ts'
import type { Day, ReportKind } from './facts.ts'

/** What became of a report of a day about a domain, at one place. */
export interface SentEntry {
  /** Epoch ms. */
  readonly at: number
  readonly domain: string
  /** `mailto:` or `https:`; empty: it is about all places of the domain. */
  readonly uri: string
  /** `failed`: it is tried again. `unwanted`: the domain asks for none. */
  readonly result: 'sent' | 'impossible' | 'failed' | 'unwanted'
  /** Messages or sessions told. */
  readonly count: number
  /** Of the mail. */
  readonly id?: MessageId
  readonly reason?: string
}

export interface SentLog {
  /** The last one of each domain and place. */
  readonly entries: readonly SentEntry[]
  /** Nothing is left to be done for the day. */
  readonly done: boolean
}

/** The log of a day is on disk, a line for each report, so that none is sent twice and one that failed is known. */
export async function readSentLog(dataFolder: string, kind: ReportKind, day: Day): Promise<SentLog> {
  const entries = new Map<string, SentEntry>()
  let done = false
  for (const line of (await readFile(logPath(dataFolder, kind, day), 'utf8').catch(absentIsNothing)).split('\n')) {
    const entry = parseLine(line)
    if (entry === undefined) continue
    if ('done' in entry) done = true
    else {
      // What is known of its places takes the place of "its record could not be looked up".
      if (entries.get(`${entry.domain} `)?.result === 'failed') entries.delete(`${entry.domain} `)
      entries.set(`${entry.domain} ${entry.uri}`, entry)
    }
  }
  return { entries: [...entries.values()], done }
}

/** A line of its own, behind whatever a crash left of the one before. */
export async function noteSent(
  dataFolder: string,
  kind: ReportKind,
  day: Day,
  entry: SentEntry | { readonly done: true },
): Promise<void> {
  await mkdir(logFolder(dataFolder, kind), { recursive: true })
  await appendFile(logPath(dataFolder, kind, day), `\n${JSON.stringify(entry)}`)
}

export async function sentDays(dataFolder: string, kind: ReportKind): Promise<readonly Day[]> {
  const names = await readdir(logFolder(dataFolder, kind)).catch(() => [])
  return names.flatMap((name) => parseDay(name.replace(/\.jsonl$/, '')) ?? []).toSorted()
}

export function removeSentLog(dataFolder: string, kind: ReportKind, day: Day): Promise<void> {
  return rm(logPath(dataFolder, kind, day), { force: true })
}

function logFolder(dataFolder: string, kind: ReportKind): string {
  return join(dataFolder, 'reports', 'sent', kind)
}

function logPath(dataFolder: string, kind: ReportKind, day: Day): string {
  return join(logFolder(dataFolder, kind), `${day}.jsonl`)
}

function parseLine(line: string): SentEntry | { readonly done: true } | undefined {
  try {
    const read = JSON.parse(line) as Partial<SentEntry & { readonly done: true }>
    if (read.done === true) return { done: true }
    return typeof read.domain === 'string' && typeof read.uri === 'string' ? (read as SentEntry) : undefined
  } catch {
    return undefined
  }
}

function absentIsNothing(error: unknown): string {
  if (codeOf(error) === 'ENOENT') return ''
  throw error
}
