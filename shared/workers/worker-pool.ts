import { availableParallelism } from 'node:os'
import type { TransferListItem, Worker } from 'node:worker_threads'

import { startWorker } from './start-worker.ts'
import type { ThreadAnswer } from './thread.ts'

export interface WorkerPoolOptions {
  /** URL of a ThreadModule (`workerFile`): its default export takes the task and gives the result. */
  readonly file: string
  /** One for each core when left out. */
  readonly threads?: number
  /** A task that is not done so long after a thread began it is ended with that thread; another takes its place. */
  readonly wallMs: number
  /** Heap of a thread; one that needs more is ended and replaced. Buffers are not in it. */
  readonly heapMb?: number
  /** A thread that did so many tasks is replaced: for code that keeps more and more memory. */
  readonly mostTasks?: number
  /** Environment of the threads; that of the process when left out. */
  readonly environment?: NodeJS.ProcessEnv
}

/** Threads for CPU work. None is started before the first task; those without work for a minute end. */
export interface WorkerPool<Task, Result> {
  /**
   * @param transfer buffers that move to the thread instead of being copied; the caller has them no more.
   * @throws ThreadLimitError; what the task throws; the reason of `signal`.
   */
  run(
    task: Task,
    options?: { readonly signal?: AbortSignal; readonly transfer?: readonly ArrayBuffer[] },
  ): Promise<Result>
  /** Ends the threads; what is in work is lost. */
  close(): Promise<void>
}

/** The task took more time or memory than it may; its thread was ended. */
export class ThreadLimitError extends Error {
  override readonly name = 'ThreadLimitError'
}

const idleMs = 60_000
/** From a start to the first task: a busy machine takes long to load a module. */
const startMs = 120_000

interface Job<Task> {
  readonly task: Task
  readonly transfer: readonly ArrayBuffer[]
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
  /** What it takes with it when it is given up. */
  thread?: Thread<Task>
}

interface Thread<Task> {
  readonly worker: Worker
  isReady: boolean
  job: Job<Task> | undefined
  /** Of the start, of the task, or of idleness. */
  timer: NodeJS.Timeout
  tasks: number
}

export function createWorkerPool<Task, Result>(options: WorkerPoolOptions): WorkerPool<Task, Result> {
  const { file, threads: mostThreads = availableParallelism(), wallMs, heapMb = 256, mostTasks = Infinity } = options
  const waiting: Job<Task>[] = []
  const threads = new Set<Thread<Task>>()
  let isClosed = false

  /** Gives waiting tasks to idle threads, and starts another thread when there are none. */
  function dispatch(): void {
    for (const thread of threads) {
      if (!thread.isReady || thread.job !== undefined) continue
      const job = waiting.shift()
      if (job === undefined) return
      begin(thread, job)
    }
    const starting = [...threads].filter(({ isReady }) => !isReady).length
    if (waiting.length > starting && threads.size < mostThreads && !isClosed) start()
  }

  function begin(thread: Thread<Task>, job: Job<Task>): void {
    thread.job = job
    job.thread = thread
    thread.worker.ref()
    restartTimer(thread, wallMs, () => end(thread, new ThreadLimitError(`no result within ${wallMs / 1000} s`)))
    try {
      thread.worker.postMessage(job.task, job.transfer as readonly TransferListItem[])
    } catch (error) {
      job.reject(error as Error)
      rest(thread)
    }
  }

  function start(): void {
    const worker = startWorker('./thread.ts', import.meta.url, {
      workerData: file,
      resourceLimits: { maxOldGenerationSizeMb: heapMb },
      ...(options.environment === undefined ? {} : { env: options.environment }),
    })
    const timer = setTimeout(() => fail(thread, new Error(`no thread within ${startMs / 1000} s`)), startMs)
    const thread: Thread<Task> = { worker, isReady: false, job: undefined, timer, tasks: 0 }
    threads.add(thread)
    worker.on('message', (answer: ThreadAnswer) => take(thread, answer))
    worker.on('error', (error) => fail(thread, limitOr(error, heapMb)))
    worker.on('exit', () => fail(thread, new Error('the thread ended')))
  }

  function take(thread: Thread<Task>, answer: ThreadAnswer): void {
    const { job } = thread
    if (!threads.has(thread)) return
    if (answer.kind === 'done') job?.resolve(answer.result)
    else if (answer.kind === 'failed') job?.reject(answer.error as Error)
    thread.isReady = true
    if (answer.kind !== 'ready') thread.tasks += 1
    rest(thread)
  }

  /** Without a task it holds nobody up: neither its successor nor the end of the process. */
  function rest(thread: Thread<Task>): void {
    thread.job = undefined
    if (thread.tasks >= mostTasks) return end(thread)
    thread.worker.unref()
    restartTimer(thread, idleMs, () => end(thread)).unref()
    dispatch()
  }

  /** One that never became ready would not become so the next time: nobody waits for it. */
  function fail(thread: Thread<Task>, error: Error): void {
    if (!threads.has(thread)) return
    if (!thread.isReady) for (const job of waiting.splice(0)) job.reject(error)
    end(thread, error)
  }

  function end(thread: Thread<Task>, error?: Error): void {
    threads.delete(thread)
    clearTimeout(thread.timer)
    void thread.worker.terminate()
    if (error !== undefined) thread.job?.reject(error)
    dispatch()
  }

  function giveUp(job: Job<Task>, reason: Error): void {
    const place = waiting.indexOf(job)
    if (place >= 0) waiting.splice(place, 1)
    job.reject(reason)
    if (job.thread?.job === job) end(job.thread)
  }

  return {
    async run(task, { signal, transfer = [] } = {}) {
      signal?.throwIfAborted()
      if (isClosed) throw new Error('the threads are closed')
      let abort: (() => void) | undefined
      try {
        return await new Promise<Result>((resolve, reject) => {
          const job: Job<Task> = { task, transfer, resolve: resolve as (result: unknown) => void, reject }
          abort = () => giveUp(job, signal?.reason as Error)
          signal?.addEventListener('abort', abort, { once: true })
          waiting.push(job)
          dispatch()
        })
      } finally {
        if (abort !== undefined) signal?.removeEventListener('abort', abort)
      }
    },
    async close() {
      isClosed = true
      const ending = [...threads].map(({ worker }) => worker)
      for (const job of waiting.splice(0)) job.reject(new Error('the threads are closed'))
      for (const thread of threads) end(thread, new Error('the threads are closed'))
      await Promise.all(ending.map((worker) => worker.terminate()))
    },
  }
}

function restartTimer(thread: { timer: NodeJS.Timeout }, ms: number, over: () => void): NodeJS.Timeout {
  clearTimeout(thread.timer)
  thread.timer = setTimeout(over, ms)
  return thread.timer
}

function limitOr(error: unknown, heapMb: number): Error {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new ThreadLimitError(`more than ${heapMb} MB of memory`, { cause: error })
  return error as Error
}

/** A copy with memory of its own, to be transferred: a view would take all the memory it looks into along. */
export function ownCopy(octets: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(octets)
}
