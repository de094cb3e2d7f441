import { dirname, join, resolve } from 'node:path'

import type { Clock } from '../clock.ts'
import type { LiveConfiguration } from '../config/live-configuration.ts'
import type { SpamThresholds } from '../config/model.ts'
import { OperationError } from '../operate/operation-error.ts'
import { workerFile } from '../workers/start-worker.ts'
import { ThreadLimitError, createWorkerPool } from '../workers/worker-pool.ts'
import type { DryRun } from './dry-run.ts'
import type { DryRunAnswer, DryRunTask } from './dry-run-thread.ts'

/** A changed configuration, and the traffic it is tried on. */
export interface DryRunQuestion {
  /** Whole texts, in place of the files in force; absent: as they are. */
  readonly smtpdConf?: string | undefined
  readonly pipelineConf?: string | undefined
  readonly thresholds: Partial<SpamThresholds>
  readonly days: number
}

/** The one that runs, or the last. */
export interface DryRunState {
  readonly by: string
  readonly startedAt: number
  readonly days: number
  readonly messages: number
  readonly outcome:
    | { readonly kind: 'running' }
    | { readonly kind: 'cancelled' }
    | { readonly kind: 'done'; readonly found: DryRun; readonly warnings: readonly string[]; readonly endedAt: number }
    /** It cannot be tried, or broke off. */
    | { readonly kind: 'refused' | 'failed'; readonly reason: string }
}

export interface ConfigurationTexts {
  readonly smtpdConf: { readonly path: string; readonly text: string }
  readonly pipelineConf: { readonly path: string; readonly text: string }
}

/** Tries changed configurations on recorded traffic, one at a time, in a thread of this process. */
export interface DryRuns {
  /** Those in force; `undefined`: nobody knows from which files they are. */
  texts(): ConfigurationTexts | undefined
  readonly state: DryRunState | undefined
  /** @throws OperationError while another runs */
  begin(question: DryRunQuestion, by: string): void
  /** False: none runs. */
  cancel(): boolean
  /** Resolves when none runs. */
  settled(): Promise<void>
  close(): Promise<void>
}

/** Recipients beyond these are not looked at: three minutes of a core or so. */
const mostMessages = 1_000_000
const wallMs = 600_000
const heapMb = 512
const dayMs = 86_400_000

export function openDryRuns(parts: {
  readonly live: Pick<LiveConfiguration, 'texts' | 'origin'>
  /** Of the journal. */
  readonly folder: string
  readonly clock: Clock
}): DryRuns {
  const { live, folder, clock } = parts
  const file = workerFile('./dry-run-thread.ts', import.meta.url)
  const pool = createWorkerPool<DryRunTask, DryRunAnswer>({ file, threads: 1, wallMs, heapMb, mostTasks: 1 })
  let state: Omit<DryRunState, 'messages'> | undefined
  let progress = new SharedArrayBuffer(4)
  let stop: AbortController | undefined
  let running: Promise<void> = Promise.resolve()

  async function run(task: DryRunTask, signal: AbortSignal): Promise<DryRunState['outcome']> {
    try {
      const answer = await pool.run(task, { signal })
      return answer.kind === 'done' ? { ...answer, endedAt: clock.now() } : answer
    } catch (error) {
      if (signal.aborted) return { kind: 'cancelled' }
      const isOver = error instanceof ThreadLimitError
      const reason = isOver ? `${error.message}: try fewer days` : (error as Error).message
      return { kind: 'failed', reason }
    }
  }

  return {
    texts: () => textsOf(live),
    get state() {
      return state && { ...state, messages: Atomics.load(new Uint32Array(progress), 0) }
    },
    begin(question, by) {
      if (state?.outcome.kind === 'running') throw new OperationError('another dry run is under way: cancel it first')
      const { origin, texts } = live
      if (origin === undefined)
        throw new OperationError('it is not known from which files the configuration in force is')
      const { days, smtpdConf, pipelineConf, thresholds } = question
      progress = new SharedArrayBuffer(4)
      const begun = { by, startedAt: clock.now(), days, outcome: { kind: 'running' } } as const
      state = begun
      stop = new AbortController()
      const sinceAt = clock.now() - days * dayMs
      const task = {
        origin,
        texts,
        smtpdConf,
        pipelineConf,
        thresholds,
        folder,
        sinceAt,
        limit: mostMessages,
        progress,
      }
      running = run(task, stop.signal).then((outcome) => {
        state = { ...begun, outcome }
      })
    },
    cancel() {
      if (state?.outcome.kind !== 'running') return false
      stop?.abort()
      return true
    },
    settled: () => running,
    async close() {
      stop?.abort()
      await running
      await pool.close()
    },
  }
}

function textsOf({ origin, texts }: Pick<LiveConfiguration, 'texts' | 'origin'>): ConfigurationTexts | undefined {
  if (origin === undefined) return undefined
  const smtpdConf = resolve(origin.smtpdConf)
  const pipelineConf = resolve(origin.pipelineConf ?? join(dirname(smtpdConf), 'pipeline.conf'))
  const of = (path: string): { readonly path: string; readonly text: string } => ({ path, text: texts.get(path) ?? '' })
  return { smtpdConf: of(smtpdConf), pipelineConf: of(pipelineConf) }
}
