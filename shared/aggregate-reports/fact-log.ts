import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { dayOf, factsFolder } from './facts.ts'
import type { Day, Fact, ReportKind } from './facts.ts'

/** Where a process writes down what it saw. */
export interface FactLog<One extends Fact> {
  /** Never waits and never throws: statistics hold up no mail. */
  add(fact: One): void
  /** Facts that were lost since the start: the disk was full, or too slow. */
  readonly lost: number
  /** Writes what is left. */
  close(): Promise<void>
}

export interface FactLogOptions {
  readonly dataFolder: string
  readonly kind: ReportKind
  /** Of the process: `filter`. */
  readonly writer: string
  readonly clock: Clock
  readonly log: Pick<Logger, 'warn'>
}

const writeAfterMs = 1_000
/** So many different facts wait for the disk at most. */
const mostWaiting = 20_000

/**
 * Facts of one process, `<data>/reports/<kind>/<UTC day>/<writer>-<start>-<pid>.jsonl`: equal ones of a second are one line with their
 * number. Written without fsync; a crash may take the last second. Touches the disk when there is something to write.
 */
export function openFactLog<One extends Fact>({ dataFolder, kind, writer, clock, log }: FactLogOptions): FactLog<One> {
  const name = `${writer}-${clock.now().toString(36)}-${process.pid}.jsonl`
  /** By the fact as it is written. */
  let counts = new Map<string, number>()
  let day: Day | undefined
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()
  let waiting = 0
  let lost = 0
  let isBroken = false

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (counts.size === 0 || day === undefined) return
    const [from, to] = [counts, join(factsFolder(dataFolder, kind), day)]
    counts = new Map()
    waiting += from.size
    writing = writing.then(async () => {
      await write(to, from)
      waiting -= from.size
    })
  }

  async function write(folder: string, facts: ReadonlyMap<string, number>): Promise<void> {
    const lines = [...facts].map(([fact, count]) => `{"count":${count},"fact":${fact}}\n`)
    try {
      await mkdir(folder, { recursive: true })
      await appendFile(join(folder, name), lines.join(''))
      isBroken = false
    } catch (error) {
      for (const count of facts.values()) lost += count
      if (!isBroken) log.warn({ kind, err: error }, 'statistics for aggregate reports cannot be written')
      isBroken = true
    }
  }

  return {
    add(fact) {
      const today = dayOf(clock.now())
      if (today !== day) flush()
      day = today
      const line = JSON.stringify(fact)
      const count = counts.get(line)
      if (count === undefined && counts.size + waiting >= mostWaiting) {
        lost += 1
        return
      }
      counts.set(line, (count ?? 0) + 1)
      timer ??= setTimeout(flush, writeAfterMs)
    },
    get lost() {
      return lost
    },
    async close() {
      flush()
      await writing
    },
  }
}
