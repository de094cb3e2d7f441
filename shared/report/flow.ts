import { deadAfterMs } from '../heartbeat.ts'
import type { Heartbeat, WorkFigures } from '../heartbeat.ts'
import { mergeFigures, percentile95, perSecond } from '../rate-meter.ts'
import type { RateFigures } from '../rate-meter.ts'

/** How mail moves through a queue, over all processes that live. */
export interface QueueFlow {
  /** Service that works it off, by the first process that does; absent: none does. */
  readonly service?: string
  readonly processes: number
  /** Jobs they work on at a time, at most. */
  readonly handlers: number
  /** Now. */
  readonly busy: number
  /** In the last minute. */
  readonly inPerSecond: number
  /** In the last minute, attempts that are made again included. */
  readonly outPerSecond: number
  /** What 95 of 100 jobs of the last ten minutes took no longer than; absent: there were none. */
  readonly p95Ms?: number
  /** Jobs that came in, in each ten seconds of the last ten minutes, the oldest first. */
  readonly incoming: readonly number[]
}

/** By queue; queues of which nothing is heard are left out. */
export function flowsOf(beats: readonly Heartbeat[], nowAt: number): ReadonlyMap<string, QueueFlow> {
  const living = beats.filter(({ at }) => nowAt - at <= deadAfterMs)
  const names = new Set(
    living.flatMap(({ work, added = {} }) => [...Object.keys(added), ...(work ? [work.queue] : [])]),
  )
  return new Map([...names].map((name) => [name, flowOf(name, living, nowAt)]))
}

function flowOf(queue: string, beats: readonly Heartbeat[], nowAt: number): QueueFlow {
  const workers = beats.flatMap(({ service, work }) => (work?.queue === queue ? [{ service, work }] : []))
  const sum = (figure: (work: WorkFigures) => number): number =>
    workers.reduce((total, { work }) => total + figure(work), 0)
  const incoming = mergeFigures(addedTo(queue, beats), nowAt)
  const done = mergeFigures(
    workers.map(({ work }) => work.done),
    nowAt,
  )
  const p95Ms = percentile95(done)
  return {
    ...(workers[0] === undefined ? {} : { service: workers[0].service }),
    processes: workers.length,
    handlers: sum(({ handlers }) => handlers),
    busy: sum(({ busy }) => busy),
    inPerSecond: perSecond(incoming),
    outPerSecond: perSecond(done),
    ...(p95Ms === undefined ? {} : { p95Ms }),
    incoming: incoming.counts,
  }
}

function addedTo(queue: string, beats: readonly Heartbeat[]): readonly RateFigures[] {
  return beats.flatMap(({ added }) => added?.[queue] ?? [])
}
