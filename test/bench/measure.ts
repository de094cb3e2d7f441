import { setTimeout as pause } from 'node:timers/promises'

import type { DnsServer } from '../support/dns.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { startSmtpSink } from '../support/smtp-sink.ts'
import { runSmtpSource } from '../support/smtp-source.ts'
import type { Series } from './series.ts'
import { recipient, type SystemName, systems } from './systems.ts'
import { UsageMeter } from './usage.ts'

export interface MeasureOptions {
  readonly runs: number
  readonly sessions: number
  /** Messages of one run, instead of the series' own number. */
  readonly messages?: number
  readonly profileFolder?: string
  readonly logFile: string
  readonly dns: DnsServer
}

export interface Measurement {
  readonly series: string
  readonly system: SystemName
  readonly messages: number
  /** Medians over the runs; highest of all for memory. */
  readonly acceptedPerSecond: number
  readonly arrivedPerSecond: number
  readonly cpuSecondsPer1000: number
  readonly peakPssBytes: number
  /** Every run's, to judge the spread. */
  readonly runs: readonly Run[]
  /** Messages of the check, each of which came exactly once and unaltered; or what was wrong. */
  readonly exactlyOnce: string
}

interface Run {
  readonly acceptedPerSecond: number
  readonly arrivedPerSecond: number
  readonly cpuSecondsPer1000: number
  readonly peakPssBytes: number
}

/** Work that follows the last message (queue files, acknowledgements) still counts as CPU. */
const afterworkMs = 500

export async function measure(series: Series, system: SystemName, options: MeasureOptions): Promise<Measurement> {
  const exactlyOnce = await checkExactlyOnce(series, system, options)
  const sink = await startSmtpSink({ lmtp: series.job === 'inbound' })
  const subject = await systems[system]({ ...options, job: series.job, sinkPort: sink.port })
  const messages = options.messages ?? series.messages
  const load = {
    port: subject.port,
    sessions: options.sessions,
    bytes: series.bytes,
    reuse: series.reuse,
    to: recipient,
  }
  const runs: Run[] = []
  try {
    const warmUp = Math.max(200, Math.ceil(messages / 5))
    await runSmtpSource({ ...load, messages: warmUp })
    let expected = warmUp
    await sink.waitForCount(expected)
    for (let run = 0; run < options.runs; run++) {
      const meter = new UsageMeter(subject.pids)
      const startedAt = performance.now()
      expected += messages
      const arrival = sink.waitForCount(expected, 600_000).then(() => performance.now() - startedAt)
      const { durationMs } = await runSmtpSource({ ...load, messages })
      const arrivedMs = await arrival
      await pause(afterworkMs)
      const usage = meter.stop()
      if (sink.count !== expected) throw new Error(`${sink.count} messages at the sink, ${expected} were sent`)
      runs.push({
        acceptedPerSecond: (messages / durationMs) * 1000,
        arrivedPerSecond: (messages / arrivedMs) * 1000,
        cpuSecondsPer1000: (usage.cpuSeconds / messages) * 1000,
        peakPssBytes: usage.peakPssBytes,
      })
    }
  } finally {
    await subject.stop()
    await sink.stop()
  }
  return {
    series: series.name,
    system,
    messages,
    acceptedPerSecond: median(runs.map((run) => run.acceptedPerSecond)),
    arrivedPerSecond: median(runs.map((run) => run.arrivedPerSecond)),
    cpuSecondsPer1000: median(runs.map((run) => run.cpuSecondsPer1000)),
    peakPssBytes: Math.max(...runs.map((run) => run.peakPssBytes)),
    runs,
    exactlyOnce,
  }
}

/** Not timed: into our own sink, which tells messages apart; smtp-sink only counts. */
async function checkExactlyOnce(series: Series, system: SystemName, options: MeasureOptions): Promise<string> {
  const messages = Math.min(500, options.messages ?? series.messages)
  const sink = await startMailSink({ protocol: series.job === 'inbound' ? 'lmtp' : 'smtp', keep: 'digest' })
  const { profileFolder: _, ...quiet } = options
  const subject = await systems[system]({ ...quiet, job: series.job, sinkPort: sink.port })
  try {
    const { sessions } = options
    await runSmtpSource({ port: subject.port, sessions, messages, bytes: series.bytes, reuse: true, to: recipient })
    await sink.waitForDistinct(messages, 120_000)
    await pause(afterworkMs)
    const repeated = sink.messages.length - sink.copies.size
    const bodies = new Set(sink.messages.map((message) => message.bodySha256)).size
    if (repeated > 0) return `${repeated} of ${messages} came twice`
    return bodies === 1 ? `yes (${messages})` : `${bodies} different bodies of ${messages} equal ones`
  } catch (error) {
    return `NO: ${error instanceof Error ? error.message : String(error)}`
  } finally {
    await subject.stop()
    await sink.stop()
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}
