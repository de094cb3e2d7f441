import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** Prometheus metrics of one process. Labels have few values: event, stage, outcome; addresses and ids go to the log. */
export interface Metrics {
  readonly registry: Registry
  readonly events: Counter<'event'>
  readonly replies: Counter<'stage' | 'class'>
  /** By what they are about, see `ReplyClass`. */
  readonly refusals: Counter<'stage' | 'code' | 'class'>
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

export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'sluice_' })
  const registers = [registry]
  return {
    registry,
    events: new Counter({ name: 'sluice_events_total', help: 'Mail events by name', labelNames: ['event'], registers }),
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
    webhookEvents: new Counter({
      name: 'sluice_webhook_events_total',
      help: 'Events that receivers of webhooks took (sent), or did not take in time, or before the journal was trimmed (dropped)',
      labelNames: ['outcome'],
      registers,
    }),
    traceSpans: new Counter({
      name: 'sluice_trace_spans_total',
      help: 'Spans of traces that the collector took (sent), or that were dropped because it did not (dropped)',
      labelNames: ['outcome'],
      registers,
    }),
    close: () => registry.clear(),
  }
}
