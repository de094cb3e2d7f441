import { readdirSync, readFileSync } from 'node:fs'

/** What a set of processes used between two moments. */
export interface Usage {
  /** user + system time of all of them, threads and ended children included. */
  readonly cpuSeconds: number
  /** Highest sum of proportional set sizes seen. */
  readonly peakPssBytes: number
}

interface ProcessEntry {
  readonly pid: number
  readonly parent: number
  /** utime + stime + cutime + cstime in clock ticks. */
  readonly ticks: number
}

const ticksPerSecond = 100
const sampleMs = 500

/** Follows the process trees below some roots through /proc (proc(5)); Linux only. */
export class UsageMeter {
  readonly #roots: readonly number[]
  readonly #startTicks: number
  readonly #timer: NodeJS.Timeout
  #peakPssBytes = 0

  constructor(roots: readonly number[]) {
    this.#roots = roots
    this.#startTicks = this.#ticks()
    this.#timer = setInterval(() => this.#sample(), sampleMs)
  }

  stop(): Usage {
    clearInterval(this.#timer)
    this.#sample()
    return { cpuSeconds: (this.#ticks() - this.#startTicks) / ticksPerSecond, peakPssBytes: this.#peakPssBytes }
  }

  #ticks(): number {
    return treeOf(this.#roots).reduce((total, entry) => total + entry.ticks, 0)
  }

  #sample(): void {
    const pss = treeOf(this.#roots).reduce((total, entry) => total + pssOf(entry.pid), 0)
    this.#peakPssBytes = Math.max(this.#peakPssBytes, pss)
  }
}

/** Those processes and all their descendants. */
function treeOf(roots: readonly number[]): readonly ProcessEntry[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readEntry(Number(name)) ?? [])
  const found = new Set(roots)
  for (let size = -1; size !== found.size;) {
    size = found.size
    for (const entry of all) if (found.has(entry.parent)) found.add(entry.pid)
  }
  return all.filter((entry) => found.has(entry.pid))
}

/** `undefined` when it has just ended: its time is then in its parent's. */
function readEntry(pid: number): ProcessEntry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // Fields behind the command's name, which may hold anything: state is the first, ppid the second.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = fields.slice(11, 15).reduce((total, field) => total + Number(field), 0)
    return { pid, parent: Number(fields[1]), ticks }
  } catch {
    return undefined
  }
}

function pssOf(pid: number): number {
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))
    return Number(match?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}
