import { longestDays, shortestDays } from '../../shared/received-reports/period.ts'
import { UsageError } from './command.ts'

/** Of the option `--days`. @throws UsageError */
export function daysOf(text: string | undefined, usual: number): number {
  if (text === undefined) return usual
  const days = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (days < shortestDays || days > longestDays)
    throw new UsageError(`--days ${text}: a whole number from ${shortestDays} to ${longestDays} is wanted`)
  return days
}
