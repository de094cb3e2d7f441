import { isDeepStrictEqual } from 'node:util'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { withFileLock } from '../file-lock.ts'
import { isLifted, parseDecision } from '../queue/limits.ts'
import type { LimitDecision, QueueLimit } from '../queue/limits.ts'
import type { Queues } from '../queue/queues.ts'
import { workQueues } from '../report/read-queues.ts'
import { putFile } from '../start/put-file.ts'
import { OperationError } from './operation-error.ts'

export interface LimitParts {
  readonly queues: Pick<Queues, 'names' | 'limits'>
  readonly dataFolder: string
}

/** As an operator gives it; both absent or `off`: no limit. */
export interface GivenLimit {
  /** `50/s`, `100/5m` or `off`. */
  readonly rate?: string | undefined
  readonly concurrency?: string | undefined
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }

/** @throws OperationError with what to write instead */
export function readLimit({ rate, concurrency }: GivenLimit): Pick<QueueLimit, 'rate' | 'concurrency'> | undefined {
  if (rate === 'off') {
    if (concurrency !== undefined) throw new OperationError('"off" lifts both limits: give no concurrency with it')
    return undefined
  }
  if (rate === undefined && concurrency === undefined)
    throw new OperationError('a limit is a rate (50/s), a concurrency, or "off"')
  return {
    ...(rate === undefined ? {} : { rate: rateOf(rate) }),
    ...(concurrency === undefined ? {} : { concurrency: handlersOf(concurrency) }),
  }
}

function rateOf(text: string): NonNullable<QueueLimit['rate']> {
  const [, jobs, times, unit = ''] = /^([1-9]\d{0,6})\/(\d{0,4})([smh])$/.exec(text) ?? []
  const periodMs = Number(times === '' ? 1 : times) * (unitMs[unit] ?? 0)
  if (jobs === undefined || periodMs === 0)
    throw new OperationError(`"${text}" is not a rate: write 50/s, 100/5m or "off"`)
  return { count: Number(jobs), periodMs }
}

function handlersOf(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new OperationError(`"${text}" is not a number of messages at a time: write 4`)
  return Number(text)
}

/** `50/s, 4 at a time`; `no limit`. */
export function describeLimit(limit: Pick<QueueLimit, 'rate' | 'concurrency'> | undefined): string {
  const { rate, concurrency } = limit ?? {}
  const words = [
    ...(rate === undefined ? [] : [`${rate.count}/${periodOf(rate.periodMs)}`]),
    ...(concurrency === undefined ? [] : [`${concurrency} at a time`]),
  ]
  return words.length === 0 ? 'no limit' : words.join(', ')
}

function periodOf(periodMs: number): string {
  const unit = ['h', 'm', 's'].find((one) => periodMs % (unitMs[one] ?? 1) === 0) ?? 's'
  const times = periodMs / (unitMs[unit] ?? 1_000)
  return times === 1 ? unit : `${times}${unit}`
}

/**
 * On disk first, then in Redis, which may be emptied or away: the ledger puts it back there. Counts as later than what was decided before,
 * also by hosts whose clock is ahead.
 * @throws OperationError when there is no such queue
 */
export async function limitQueue(parts: LimitParts, queue: string, decision: LimitDecision): Promise<void> {
  const { queues, dataFolder } = parts
  const names = workQueues(queues)
  if (!names.includes(queue)) throw new OperationError(`there is no queue '${queue}'; there are: ${names.join(' ')}`)
  await withFileLock(lockOf(dataFolder), async () => {
    const decided = await readDecisions(dataFolder)
    const inRedis = await queues.limits.read([queue]).catch(() => new Map<string, LimitDecision>())
    const before = Math.max(decided.get(queue)?.at ?? 0, inRedis.get(queue)?.at ?? 0)
    const later = { ...decision, at: Math.max(decision.at, before + 1) }
    await writeDecisions(dataFolder, new Map(decided).set(queue, later))
    await queues.limits.set(queue, later)
  })
}

/**
 * Makes Redis and the disk hold what was decided last: an emptied Redis knows nothing, and what was decided on another host that shares
 * Redis is not on the disk of this one. @returns the queues whose limit is in force again
 */
export async function restoreLimits({ queues, dataFolder }: LimitParts): Promise<readonly string[]> {
  const names = workQueues(queues)
  const compared = async (): Promise<readonly Difference[]> => {
    const [onDisk, inRedis] = [await readDecisions(dataFolder), await queues.limits.read(names)]
    return names.flatMap((queue) => differenceOf(queue, onDisk.get(queue), inRedis.get(queue)) ?? [])
  }
  if ((await compared()).length === 0) return []
  // Not beside an operator who is between the two.
  return withFileLock(lockOf(dataFolder), async () => {
    const differences = await compared()
    const elsewhere = differences.filter(({ isNewIn }) => isNewIn === 'redis')
    const here = differences.filter(({ isNewIn }) => isNewIn === 'disk')
    if (elsewhere.length > 0) {
      const learned = elsewhere.map(({ queue, decision }) => [queue, decision] as const)
      await writeDecisions(dataFolder, new Map([...(await readDecisions(dataFolder)), ...learned]))
    }
    for (const { queue, decision } of here) await queues.limits.set(queue, decision)
    return here.filter(({ decision }) => !isLifted(decision)).map(({ queue }) => queue)
  })
}

interface Difference {
  readonly queue: string
  readonly decision: LimitDecision
  readonly isNewIn: 'disk' | 'redis'
}

function differenceOf(
  queue: string,
  onDisk: LimitDecision | undefined,
  inRedis: LimitDecision | undefined,
): Difference | undefined {
  if (inRedis !== undefined && (onDisk === undefined || isLater(inRedis, onDisk)))
    return { queue, decision: inRedis, isNewIn: 'redis' }
  if (onDisk === undefined || isDeepStrictEqual(onDisk, inRedis)) return undefined
  // An emptied Redis limits nothing.
  return inRedis === undefined && isLifted(onDisk) ? undefined : { queue, decision: onDisk, isNewIn: 'disk' }
}

/** Of two in one millisecond each host takes the same. */
function isLater(one: LimitDecision, other: LimitDecision): boolean {
  return one.at > other.at || (one.at === other.at && JSON.stringify(one) > JSON.stringify(other))
}

/** @throws Error when the file is damaged: no limit is lifted for that */
async function readDecisions(dataFolder: string): Promise<ReadonlyMap<string, LimitDecision>> {
  const text = await readFile(fileOf(dataFolder), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}'
    throw error
  })
  const entries = Object.entries(JSON.parse(text) as Readonly<Record<string, unknown>>)
  return new Map(
    entries.flatMap(([queue, value]) => {
      const decision = parseDecision(JSON.stringify(value))
      return decision === undefined ? [] : [[queue, decision] as const]
    }),
  )
}

function writeDecisions(dataFolder: string, decisions: ReadonlyMap<string, LimitDecision>): Promise<void> {
  return putFile(fileOf(dataFolder), `${JSON.stringify(Object.fromEntries(decisions), undefined, 2)}\n`, 0o600)
}

function lockOf(dataFolder: string): string {
  return `${fileOf(dataFolder)}.lock`
}

function fileOf(dataFolder: string): string {
  return join(dataFolder, 'queue-limits.json')
}
