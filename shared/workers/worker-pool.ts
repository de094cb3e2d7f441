import { availableParallelism } from 'node:os'

import { Piscina } from 'piscina'

import type { WorkerFile } from './worker-file.ts'

export interface WorkerPoolOptions {
  /** Its default export takes the task and gives the result. */
  readonly file: WorkerFile
  /** One for each core when left out. */
  readonly threads?: number
  /** A task that is not done so long after it was given is ended with its thread; another thread takes its place. */
  readonly wallMs: number
  /** Heap of a thread; one that needs more is ended and replaced. */
  readonly heapMb?: number
}

/** Threads for CPU work. None is started before the first task; those without work for a minute end. */
export interface WorkerPool<Task, Result> {
  /**
   * @param transfer buffers that move to the thread instead of being copied; the caller has them no more.
   * @throws WallLimitError; what the task throws; the reason of `signal`.
   */
  run(
    task: Task,
    options?: { readonly signal?: AbortSignal; readonly transfer?: readonly ArrayBuffer[] },
  ): Promise<Result>
  /** Ends the threads; what is in work is lost. */
  close(): Promise<void>
}

export class WallLimitError extends Error {
  override readonly name = 'WallLimitError'
}

export function createWorkerPool<Task, Result>(options: WorkerPoolOptions): WorkerPool<Task, Result> {
  const { file, threads = availableParallelism(), wallMs, heapMb = 256 } = options
  const pool = new Piscina<Task, Result>({
    filename: file.filename,
    execArgv: [...file.execArgv],
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: 60_000,
    recordTiming: false,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  })

  return {
    async run(task, { signal, transfer } = {}) {
      signal?.throwIfAborted()
      const controller = new AbortController()
      const abort = (): void => controller.abort(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
      const timer = setTimeout(
        () => controller.abort(new WallLimitError(`no result within ${wallMs / 1000} s`)),
        wallMs,
      )
      try {
        return await pool.run(task, {
          signal: controller.signal,
          ...(transfer === undefined ? {} : { transferList: [...transfer] }),
        })
      } catch (error) {
        throw controller.signal.aborted ? (controller.signal.reason as Error) : error
      } finally {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
      }
    },
    close: () => pool.destroy(),
  }
}

/** A copy with memory of its own, to be transferred: a view would take all the memory it looks into along. */
export function ownCopy(octets: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(octets)
}
