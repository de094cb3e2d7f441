import type { QueueFlow } from './flow.ts'
import { formatDuration, plural } from './units.ts'
import type { QueueView } from './views.ts'

/** Something about a queue that an operator should change. */
export interface QueueTrouble {
  readonly title: string
  readonly text: string
  /** What he may type. */
  readonly commands: readonly string[]
}

/** Share of the handlers that are at work when more of them would help. */
const busyShare = 0.8
/** More processes are not advised at once. */
const mostAtOnce = 4

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
  const { busy, handlers } = flow
  if (busy < handlers * busyShare)
    return {
      title,
      text: `${late} ${busy} of ${handlers} workers are busy, so more of them would not help.`,
      commands: [],
    }
  return {
    title,
    text: `${late} ${busy} of ${handlers} workers are busy${pace(queue, flow)}. More processes help when the processor is the limit, more workers in each when they wait for others.`,
    commands: [
      `docker compose up -d --no-recreate --scale ${flow.service ?? name}=${processesFor(flow)} --wait`,
      `queue "${name}" concurrency ${Math.max(1, Math.round(handlers / flow.processes)) * 2}`,
    ],
  }
}

/** As many as what comes in needs, with some to spare; at least one more, at most four times as many. */
export function processesFor({ processes, inPerSecond, outPerSecond }: QueueFlow): number {
  const needed = outPerSecond === 0 ? 0 : Math.ceil((1.25 * processes * inPerSecond) / outPerSecond)
  return Math.min(Math.max(needed, processes + 1), processes * mostAtOnce)
}

function pace({ waiting }: QueueView, { inPerSecond, outPerSecond }: QueueFlow): string {
  const spare = outPerSecond - inPerSecond
  if (spare <= 0) return '; more comes in than goes out'
  return `; at this pace what waits is through in ${formatDuration((waiting / spare) * 1000)}`
}
