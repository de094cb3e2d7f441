import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { allSeries, type Series } from './series.ts'
import { type SystemName, systems } from './systems.ts'

export interface Options {
  readonly series: readonly Series[]
  readonly systems: readonly SystemName[]
  readonly messages?: number
  readonly runs: number
  readonly sessions: number
  readonly profileFolder?: string
  readonly json: boolean
}

export const usage = `usage: npm run bench -- [options]
  --series a,b       ${allSeries.map((series) => series.name).join(' ')} (default: all; a prefix chooses several)
  --systems a,b      ${Object.keys(systems).join(' ')} (default: postfix,sluice)
  --messages N       messages of one run (default: 1,000 to 3,000 by series)
  --runs N           timed runs after the warm-up, the median counts (default 3)
  --sessions N       parallel sessions of smtp-source (default 20)
  --cpu-prof FOLDER  CPU profiles of Sluice's processes
  --json             the measurements with each run, instead of the table`

/** The command line cannot be understood, or something is not installed. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws UsageError */
export function readOptions(args: readonly string[]): Options {
  const { values } = parse(args)
  const chosen = values.series?.split(',') ?? ['']
  const series = allSeries.filter((one) => chosen.some((name) => one.name.startsWith(name)))
  const unknown = chosen.find((name) => !allSeries.some((one) => one.name.startsWith(name)))
  if (unknown !== undefined) throw new UsageError(`no series '${unknown}'`)
  return {
    series,
    systems: (values.systems ?? 'postfix,sluice').split(',').map(systemName),
    runs: count('runs', values.runs ?? '3'),
    sessions: count('sessions', values.sessions ?? '20'),
    json: values.json ?? false,
    ...(values.messages === undefined ? {} : { messages: count('messages', values.messages) }),
    ...(values['cpu-prof'] === undefined ? {} : { profileFolder: resolve(values['cpu-prof']) }),
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        series: { type: 'string' },
        systems: { type: 'string' },
        messages: { type: 'string' },
        runs: { type: 'string' },
        sessions: { type: 'string' },
        'cpu-prof': { type: 'string' },
        json: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
}

function systemName(name: string): SystemName {
  if (!Object.hasOwn(systems, name)) throw new UsageError(`no system '${name}'`)
  return name as SystemName
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new UsageError(`--${name} wants a number, not '${text}'`)
  return Number(text)
}
