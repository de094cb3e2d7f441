import cluster from 'node:cluster'
import type { Worker } from 'node:cluster'
import { once } from 'node:events'

import type { Logger } from '../log.ts'

export interface WorkerProcesses {
  close(): Promise<void>
}

const restartAfterMs = 1_000
const readyText = 'ready'

/** True in a process that `startWorkerProcesses` made. */
export function isWorkerProcess(): boolean {
  return cluster.isWorker
}

/** Tells the parent that this worker process serves. */
export function tellReady(listens: readonly string[]): void {
  process.send?.({ kind: readyText, listens })
}

/**
 * Runs one service in several processes that share its ports: they all accept on the same sockets, so the kernel hands a connection to
 * whichever is free. A process that ends by itself is started again.
 * @returns when all of them serve, with what they listen on
 */
export async function startWorkerProcesses(options: {
  readonly count: number
  readonly args: readonly string[]
  readonly log: Logger
}): Promise<WorkerProcesses & { readonly listens: readonly string[] }> {
  const { count, args, log } = options
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({ args: [...args] })
  const workers = new Set<Worker>()
  let closing = false

  function start(): Worker {
    const worker = cluster.fork()
    workers.add(worker)
    worker.once('exit', (code, signal) => {
      workers.delete(worker)
      if (closing) return
      log.error({ pid: worker.process.pid, code, signal }, 'worker process ended; a new one is started')
      setTimeout(() => closing || start(), restartAfterMs).unref()
    })
    return worker
  }

  async function close(): Promise<void> {
    closing = true
    await Promise.all(
      [...workers].map(async (worker) => {
        const gone = once(worker, 'exit')
        worker.process.kill('SIGTERM')
        await gone
      }),
    )
  }

  try {
    const listens = await Promise.all(Array.from({ length: count }, () => untilReady(start())))
    return { listens: listens[0] ?? [], close }
  } catch (error) {
    await close()
    throw error
  }
}

function untilReady(worker: Worker): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    worker.on('message', (message: { readonly kind?: string; readonly listens?: readonly string[] }) => {
      if (message.kind === readyText) resolve(message.listens ?? [])
    })
    worker.once('exit', () => reject(new Error('a worker process could not start; its message stands above')))
  })
}
