import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

import { messageEvents, otherEvents } from './mail/event-names.ts'

/** Prometheus metrics of one process. Labels have few values: event, stage, outcome; addresses and ids go to the log. */
export interface Metrics {
  readonly registry: Registry
  readonly events: Counter<'event'>
  /** By where they came in. */
  readonly connections: Counter<'listener'>
  readonly tlsSessions: Counter<'version'>
  /** In sessions, by the command that was refused and the code of the reply. */
  readonly rejections: Counter<'stage' | 'code'>
  readonly messageBytes: Histogram
  readonly verdicts: Counter<'verdict'>
  /** Copies, from acceptance to their end. */
  readonly outcomeSeconds: Histogram<'outcome'>
  readonly replies: Counter<'stage' | 'class'>
  /** By what they are about, see `ReplyClass`. */
  readonly refusals: Counter<'stage' | 'code' | 'class'>
  readonly waitSeconds: Histogram<'queue'>
  readonly stageSeconds: Histogram<'stage'>
  readonly engineSeconds: Histogram<'engine' | 'status'>
  readonly acceptSeconds: Histogram
  readonly beforeAcceptSeconds: Histogram<'decision'>
  readonly waitingForQueue: Gauge
  /** Accepted messages that have no outcome and are not in the spool. */
  readonly missingMessages: Gauge
  readonly webhookEvents: Counter<'outcome'>
  readonly traceSpans: Counter<'outcome'>
  close(): void
}

const prefix = 'sluice_'
const sentOrDropped = [{ outcome: 'sent' }, { outcome: 'dropped' }] as const

export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix })
  // Gauges with the name of a counter: the series by type tell the same.
  for (const what of ['handles', 'requests', 'resources'])
    registry.removeSingleMetric(`${prefix}nodejs_active_${what}_total`)
  const registers = [registry]
  return {
    registry,
    events: fromZero(
      new Counter({ name: 'sluice_events_total', help: 'Mail events by name', labelNames: ['event'], registers }),
      [...messageEvents, ...otherEvents].map((event) => ({ event })),
    ),
    connections: new Counter({
      name: 'sluice_connections_total',
      help: 'Clients that connected, by where',
      labelNames: ['listener'],
      registers,
    }),
    tlsSessions: new Counter({
      name: 'sluice_tls_sessions_total',
      help: 'TLS sessions with clients, by version',
      labelNames: ['version'],
      registers,
    }),
    rejections: new Counter({
      name: 'sluice_rejections_total',
      help: 'Refusals in sessions, by the stage of the session and the code of the reply',
      labelNames: ['stage', 'code'],
      registers,
    }),
    messageBytes: new Histogram({
      name: 'sluice_message_size_bytes',
      help: 'Size of received messages',
      buckets: [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536].map((kib) => kib * 1024),
      registers,
    }),
    verdicts: new Counter({
      name: 'sluice_verdicts_total',
      help: 'Verdicts of the filter (clean, junk, quarantine, reject, discard, released)',
      labelNames: ['verdict'],
      registers,
    }),
    outcomeSeconds: new Histogram({
      name: 'sluice_outcome_seconds',
      help: 'Time from the acceptance of a copy to its end (delivered, relayed, failed, expired)',
      labelNames: ['outcome'],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400, 345_600],
      registers,
    }),
    replies: new Counter({
      name: 'sluice_remote_replies_total',
      help: 'Replies of the next hop by class (2xx, 4xx, 5xx)',
      labelNames: ['stage', 'class'],
      registers,
    }),
    refusals: new Counter({
      name: 'sluice_refusals_total',
      help: 'Copies that the next hop refused (4xx: for now), by what its reply is about',
      labelNames: ['stage', 'code', 'class'],
      registers,
    }),
    waitSeconds: new Histogram({
      name: 'sluice_queue_wait_seconds',
      help: 'Time from coming to a queue to the first start of the work there',
      labelNames: ['queue'],
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400],
      registers,
    }),
    stageSeconds: new Histogram({
      name: 'sluice_stage_seconds',
      help: 'Time a stage worked on one message',
      labelNames: ['stage'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    }),
    engineSeconds: new Histogram({
      name: 'sluice_engine_seconds',
      help: 'Time an engine of the filter took for one message, by what came of it',
      labelNames: ['engine', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    }),
    acceptSeconds: new Histogram({
      name: 'sluice_accept_seconds',
      help: 'Time from the end of DATA to the message being on disk',
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
      registers,
    }),
    beforeAcceptSeconds: new Histogram({
      name: 'sluice_before_accept_seconds',
      help: 'Time a client waited for the filter before its message was accepted, by the decision; none: nobody decided in time',
      labelNames: ['decision'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    }),
    waitingForQueue: new Gauge({
      name: 'sluice_accepted_without_job',
      help: 'Messages on disk whose jobs wait for Redis',
      registers,
    }),
    missingMessages: new Gauge({
      name: 'sluice_missing_messages',
      help: 'Accepted messages that have no outcome and are not in the spool: always 0',
      registers,
    }),
    webhookEvents: fromZero(
      new Counter({
        name: 'sluice_webhook_events_total',
        help: 'Events that receivers of webhooks took (sent), or did not take in time, or before the journal was trimmed (dropped)',
        labelNames: ['outcome'],
        registers,
      }),
      sentOrDropped,
    ),
    traceSpans: fromZero(
      new Counter({
        name: 'sluice_trace_spans_total',
        help: 'Spans of traces that the collector took (sent), or that were dropped because it did not (dropped)',
        labelNames: ['outcome'],
        registers,
      }),
      sentOrDropped,
    ),
    close: () => registry.clear(),
  }
}

/** What has not happened yet counts 0: of a series that begins at 1 a rate would not see the first. */
function fromZero<Label extends string>(
  counter: Counter<Label>,
  series: readonly Readonly<Record<Label, string>>[],
): Counter<Label> {
  for (const labels of series) counter.inc(labels, 0)
  return counter
}
