import type { QueueFlow } from './flow.ts'
import { describeLimit } from '../operate/queue-limits.ts'
import { formatDuration, plural } from './units.ts'
import type { QueueView } from './views.ts'

/** Something about a queue that an operator should change. */
export interface QueueTrouble {
  readonly title: string
  readonly text: string
  /** What he may type. */
  readonly commands: readonly string[]
}

/** Of queues that the configuration no longer names. */
export const defaultTargetMs = 60_000
/** Share of the handlers that are at work when more of them would help. */
const busyShare = 0.8
/** More processes are not advised at once. */
const mostAtOnce = 4
/** What waits should be through in this time. */
const catchUpMs = 600_000
/** Share of its limit that a queue takes when the limit is what holds it. */
const limitedShare = 0.9

/** Its oldest message has waited for longer than `queue ... target` allows. */
export function isBehind(queue: QueueView, targetMs: number): boolean {
  return !queue.paused && (queue.oldestAgeMs ?? 0) > targetMs
}

/** Why a queue is behind its target, and what helps; `undefined`: it is not, or nothing is known of its workers. */
export function troubleOf(queue: QueueView, flow: QueueFlow | undefined, targetMs: number): QueueTrouble | undefined {
  const { name, waiting } = queue
  if (!isBehind(queue, targetMs)) return undefined
  const late = `The oldest has waited for ${formatDuration(queue.oldestAgeMs ?? 0)}, the target is ${formatDuration(targetMs)}.`
  const title = `Queue ${name} is behind its target.`
  if (flow === undefined || flow.processes === 0)
    return { title, text: `${late} No living process works it off; ${plural(waiting, 'message')} wait.`, commands: [] }
  const held = heldByLimit(queue, flow)
  if (held !== undefined) return { title, text: `${late} ${held}`, commands: [`sluicectl limit ${name} off`] }
  const { busy, handlers } = flow
  if (busy < handlers * busyShare)
    return {
      title,
      text: `${late} ${busy} of ${handlers} workers are busy, so more of them would not help.`,
      commands: [],
    }
  const pace = `${late} ${busy} of ${handlers} workers are busy`
  const nowMs = throughIn(queue, flow, flow.processes)
  if (nowMs !== undefined && nowMs <= targetMs)
    return { title, text: `${pace}; at this pace what waits is through in ${about(nowMs)}.`, commands: [] }
  const processes = processesFor(queue, flow)
  return {
    title,
    text: `${pace}; ${atThisPace(flow, nowMs)}. ${withMore(queue, flow, processes)} More processes help when the processor is the limit, more workers in each when they wait for others.`,
    commands: [
      `docker compose up -d --no-recreate --scale ${flow.service ?? name}=${processes} --wait`,
      `queue "${name}" concurrency ${Math.ceil((handlers / flow.processes) * (processes / flow.processes))}`,
    ],
  }
}

/** So many that what waits is through in ten minutes beside what comes in; at least one more, at most four times as many. */
export function processesFor({ waiting }: QueueView, { processes, inPerSecond, outPerSecond }: QueueFlow): number {
  const wanted = inPerSecond + waiting / (catchUpMs / 1000)
  const needed = outPerSecond === 0 ? 0 : Math.ceil((wanted * processes) / outPerSecond)
  return Math.min(Math.max(needed, processes + 1), processes * mostAtOnce)
}

/**
 * When so many processes, each as fast as those there are, have done what waits and what comes in meanwhile; undefined: never, or nothing
 * is known of their pace.
 */
export function throughIn({ waiting }: QueueView, flow: QueueFlow, processes: number): number | undefined {
  const { inPerSecond, outPerSecond } = flow
  const spare = (outPerSecond * processes) / flow.processes - inPerSecond
  return spare <= 0 ? undefined : (waiting / spare) * 1000
}

function atThisPace({ outPerSecond }: QueueFlow, nowMs: number | undefined): string {
  if (nowMs !== undefined) return `at this pace what waits is through in ${about(nowMs)}`
  return outPerSecond === 0 ? 'none was done with a message in the last minute' : 'more comes in than goes out'
}

function withMore(queue: QueueView, flow: QueueFlow, processes: number): string {
  const name = plural(processes, 'process', 'processes')
  if (flow.outPerSecond === 0) return `How much ${name} would do is not known.`
  const ms = throughIn(queue, flow, processes)
  if (ms === undefined) return `${name} would not catch up, but it would grow more slowly.`
  return `${name} would be through in ${about(ms)}.`
}

/** Nobody knows it to the second. */
function about(ms: number): string {
  return `about ${formatDuration(ms < 120_000 ? Math.ceil(ms / 1000) * 1000 : Math.ceil(ms / 60_000) * 60_000)}`
}

/** An operator's limit is what it waits for: more workers would not help. */
function heldByLimit({ limit, active }: QueueView, { outPerSecond }: QueueFlow): string | undefined {
  if (limit === undefined) return undefined
  const { rate, concurrency, by } = limit
  const byRate = rate !== undefined && outPerSecond >= ((rate.count * 1000) / rate.periodMs) * limitedShare
  const byConcurrency = concurrency !== undefined && active >= concurrency
  if (!byRate && !byConcurrency) return undefined
  return `${by} limited it to ${describeLimit(limit)}: more workers would not help.`
}
