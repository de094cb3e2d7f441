import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import { boundsOf, dayOf, factsFolder, reportKinds } from './facts.ts'
import type { Day, ReportKind } from './facts.ts'
import { factDays } from './read-facts.ts'
import { sendDay } from './send-day.ts'
import type { ReportParts } from './send-day.ts'
import { removeSentLog, sentDays } from './sent-log.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** What processes saw before midnight is on disk by then. */
const settledMs = 600_000
/** Not all of the world at midnight (RFC 8460 §4.1). */
const spreadMs = 4 * hourMs
const againMs = hourMs
/** From the time it was due; reports that come later are of little use. */
const givenUpAfterMs = dayMs
const keepFactsMs = 7 * dayMs
const keepLogMs = 30 * dayMs

/** When the reports of a day go out: the same for one host, however often it is asked. */
export function dueAt(kind: ReportKind, day: Day, hostname: string): number {
  const hash = createHash('sha256').update(`${hostname} ${kind} ${day}`).digest().readUInt32BE(0)
  return boundsOf(day).endAt + settledMs + Math.floor((hash / 2 ** 32) * spreadMs)
}

/**
 * Sends what is due, when asked again and again, and removes what is old. What fails is tried once an hour for a day. Does nothing for a
 * kind that is not switched on but clean up.
 */
export function createReportDuty(parts: ReportParts): (signal: AbortSignal) => Promise<void> {
  /** Days that need no look before then, epoch ms. */
  const quietUntil = new Map<string, number>()

  async function send(kind: ReportKind, signal: AbortSignal): Promise<void> {
    const { configuration, clock, log, dataFolder } = parts
    const sender = configuration.pipeline.aggregateReports[kind]
    if (sender === undefined) return
    for (const day of await factDays(dataFolder, kind)) {
      const due = dueAt(kind, day, configuration.hostname)
      const name = `${kind} ${day}`
      if (clock.now() < Math.max(due, quietUntil.get(name) ?? 0)) continue
      const isLastTry = clock.now() > due + givenUpAfterMs
      const { sent, failed } = await sendDay(parts, { kind, day, sender, signal, isLastTry })
      quietUntil.set(name, failed === 0 ? Number.POSITIVE_INFINITY : clock.now() + againMs)
      if (sent > 0) log.info({ kind, day, sent }, 'aggregate reports are on their way')
    }
  }

  async function cleanUp(kind: ReportKind): Promise<void> {
    const { dataFolder, clock } = parts
    const isOld = (day: Day, keptMs: number): boolean => boundsOf(day).endAt + keptMs < clock.now()
    for (const day of await factDays(dataFolder, kind)) {
      if (!isOld(day, keepFactsMs)) continue
      await rm(join(factsFolder(dataFolder, kind), day), { recursive: true, force: true })
      quietUntil.delete(`${kind} ${day}`)
    }
    for (const day of await sentDays(dataFolder, kind))
      if (isOld(day, keepLogMs)) await removeSentLog(dataFolder, kind, day)
  }

  return async (signal) => {
    for (const kind of reportKinds) {
      await send(kind, signal)
      await cleanUp(kind)
    }
  }
}

/** A day can be told when it is over. */
export function isOver(day: Day, nowAt: number): boolean {
  return day < dayOf(nowAt)
}
