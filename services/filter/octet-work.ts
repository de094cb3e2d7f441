import { createWorkerPool, ownCopy } from '../../shared/workers/worker-pool.ts'
import type { WorkerPool } from '../../shared/workers/worker-pool.ts'

export interface OctetWorkOptions<Result> {
  /** URL of the module whose default export `work` is. */
  readonly file: string
  readonly work: (octets: Uint8Array) => Result
  readonly wallMs: number
  /** One for each core when left out. */
  readonly threads?: number
}

/** CPU work on the octets of a message: few at once, many in a thread with limits, so that the event loop never waits for it. */
export interface OctetWork<Result> {
  /** @throws ThreadLimitError, the reason of `signal` */
  run(octets: Uint8Array, signal: AbortSignal): Promise<Result>
  close(): Promise<void>
}

/** To read 64 KB takes about 5 ms; the way into a thread and back is worth much less. */
const inPlaceBytes = 16_384

export function createOctetWork<Result>({ work, ...options }: OctetWorkOptions<Result>): OctetWork<Result> {
  const pool: WorkerPool<Uint8Array, Result> = createWorkerPool(options)
  return {
    async run(octets, signal) {
      if (octets.length <= inPlaceBytes) return work(octets)
      const task = ownCopy(octets)
      return pool.run(task, { signal, transfer: [task.buffer] })
    },
    close: () => pool.close(),
  }
}
