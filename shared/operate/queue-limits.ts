import { isDeepStrictEqual } from 'node:util'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { withFileLock } from '../file-lock.ts'
import { parseLimit } from '../queue/limits.ts'
import type { QueueLimit } from '../queue/limits.ts'
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
 * On disk first, then in Redis, which may be emptied or away: the ledger puts it back there.
 * @throws OperationError when there is no such queue
 */
export async function limitQueue(parts: LimitParts, queue: string, limit: QueueLimit | undefined): Promise<void> {
  const names = workQueues(parts.queues)
  if (!names.includes(queue)) throw new OperationError(`there is no queue '${queue}'; there are: ${names.join(' ')}`)
  const path = fileOf(parts.dataFolder)
  await withFileLock(`${path}.lock`, async () => {
    const limits = new Map(await readLimits(parts.dataFolder))
    if (limit === undefined) limits.delete(queue)
    else limits.set(queue, limit)
    await putFile(path, `${JSON.stringify(Object.fromEntries(limits), undefined, 2)}\n`, 0o600)
    await parts.queues.limits.set(queue, limit)
  })
}

/** Makes Redis hold what the disk says. @returns the queues it did not hold it for */
export async function restoreLimits({ queues, dataFolder }: LimitParts): Promise<readonly string[]> {
  const path = fileOf(dataFolder)
  const names = workQueues(queues)
  const differing = async (): Promise<readonly (readonly [string, QueueLimit | undefined])[]> => {
    const [wanted, found] = [await readLimits(dataFolder), await queues.limits.read(names)]
    return names
      .map((name) => [name, wanted.get(name)] as const)
      .filter(([name, limit]) => !isDeepStrictEqual(limit, found.get(name)))
  }
  if ((await differing()).length === 0) return []
  // Not beside an operator who is between the two.
  return withFileLock(`${path}.lock`, async () => {
    const open = await differing()
    for (const [name, limit] of open) await queues.limits.set(name, limit)
    return open.map(([name]) => name)
  })
}

/** @throws Error when the file is damaged: no limit is lifted for that */
export async function readLimits(dataFolder: string): Promise<ReadonlyMap<string, QueueLimit>> {
  const text = await readFile(fileOf(dataFolder), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}'
    throw error
  })
  const entries = Object.entries(JSON.parse(text) as Readonly<Record<string, unknown>>)
  return new Map(
    entries.flatMap(([queue, value]) => {
      const limit = parseLimit(JSON.stringify(value))
      return limit === undefined ? [] : [[queue, limit] as const]
    }),
  )
}

function fileOf(dataFolder: string): string {
  return join(dataFolder, 'queue-limits.json')
}
