import { readdir, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { tellingSnapshotWriter } from '../snapshot-writer.ts'
import type { DeliveryAttempt } from '../mail/disposition.ts'
import { classifyReply } from '../mail/reply-class.ts'
import type { ReplyClass } from '../mail/reply-class.ts'
import { formatReply, isPositive } from '../mail/reply.ts'
import { destinationsFolder, hourMs, keptHours } from './known.ts'
import type { DestinationHistory, Refusal, SeenPolicy, SeenTls } from './known.ts'

/** Notes how each destination takes mail, for people to look at: in memory, and in a small file that is written anew every 10 s. */
export interface DestinationBook {
  note(destination: string, attempts: readonly DeliveryAttempt[]): void
  /** What the domain demands of TLS, and why that was not met. */
  notePolicy(destination: string, type: SeenPolicy['type'], failure?: string): void
  close(): Promise<void>
}

export interface BookOptions {
  readonly dataFolder: string
  readonly clock: Clock
  readonly log: Logger
}

const everyMs = 10_000
/** Those that were written to longest ago are forgotten beyond it: who sends to a million domains looks at few of them. */
const mostDestinations = 1_000

interface Page {
  readonly hours: Map<number, { sent: number; later: number; refused: number }>
  readonly refusals: Map<ReplyClass, Refusal>
  tls?: SeenTls
  policy?: SeenPolicy
  lastAt: number
}

/** Of one process. A crash costs the last seconds; its file stays for a day. */
export function openDestinationBook({ dataFolder, clock, log }: BookOptions): DestinationBook {
  const folder = destinationsFolder(dataFolder)
  const path = join(folder, `${hostname()}.${process.pid}.${clock.now().toString(36)}.json`)
  const pages = new Map<string, Page>()
  let isChanged = false
  const put = tellingSnapshotWriter('the answers of destinations', log)
  let writing = removeOld(folder, clock.now())
  const timer = setInterval(write, everyMs)
  timer.unref()

  /** The last one that was written to is the last of all. */
  function pageOf(name: string): Page {
    const page = pages.get(name) ?? { hours: new Map(), refusals: new Map(), lastAt: 0 }
    pages.delete(name)
    pages.set(name, page)
    page.lastAt = clock.now()
    if (pages.size > mostDestinations) {
      const [oldest] = pages.keys()
      if (oldest !== undefined) pages.delete(oldest)
    }
    isChanged = true
    return page
  }

  function write(): void {
    if (!isChanged) return
    isChanged = false
    const since = clock.now() - keptHours * hourMs
    const histories = [...pages].map(([name, page]) => historyOf(name, page, since))
    const text = JSON.stringify(histories)
    writing = writing.then(() => put(path, text))
  }

  return {
    note(destination, attempts) {
      const page = pageOf(destination)
      for (const attempt of attempts) noteAttempt(page, attempt, clock.now())
    },
    notePolicy(destination, type, failure) {
      pageOf(destination).policy = { type, ...(failure === undefined ? {} : { failure }), at: clock.now() }
    },
    async close() {
      clearInterval(timer)
      write()
      await writing
    },
  }
}

function noteAttempt(page: Page, attempt: DeliveryAttempt, nowAt: number): void {
  const { reply, remoteMta, tls, tlsUnused } = attempt
  const begin = nowAt - (nowAt % hourMs)
  const hour = page.hours.get(begin) ?? { sent: 0, later: 0, refused: 0 }
  page.hours.set(begin, hour)
  if (page.hours.size > keptHours + 1) {
    const [first] = page.hours.keys()
    if (first !== undefined) page.hours.delete(first)
  }
  if (remoteMta !== undefined) {
    const unused = tlsUnused === undefined ? {} : { unused: tlsUnused }
    page.tls = { ...tls, ...unused, at: nowAt }
  }
  if (isPositive(reply)) {
    hour.sent += 1
    return
  }
  if (reply.code >= 500) hour.refused += 1
  else hour.later += 1
  const replyClass = classifyReply(reply)
  page.refusals.set(replyClass, {
    replyClass,
    times: (page.refusals.get(replyClass)?.times ?? 0) + 1,
    reply: formatReply(reply).slice(0, 500),
    ...(remoteMta === undefined ? {} : { host: remoteMta }),
    at: nowAt,
  })
}

function historyOf(name: string, page: Page, since: number): DestinationHistory {
  return {
    name,
    hours: [...page.hours].filter(([at]) => at > since - hourMs).map(([at, hour]) => ({ at, ...hour })),
    refusals: [...page.refusals.values()].filter(({ at }) => at > since),
    ...(page.tls === undefined ? {} : { tls: page.tls }),
    ...(page.policy === undefined ? {} : { policy: page.policy }),
    lastAt: page.lastAt,
  }
}

/** Those of processes that ended a day ago. */
async function removeOld(folder: string, nowAt: number): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  for (const name of names) {
    const file = join(folder, name)
    const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: nowAt }))
    if (nowAt - mtimeMs > keptHours * hourMs) await rm(file, { force: true })
  }
}

/** Readers see whole files. */
