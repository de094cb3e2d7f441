import cluster from 'node:cluster'
import type { Worker } from 'node:cluster'
import { once } from 'node:events'

import type { ConfigurationFollower } from '../config/live-configuration.ts'
import type { Logger } from '../log.ts'
import type { Outcome, ToParent, ToWorker } from './led-reload.ts'

export interface WorkerProcesses {
  /** They get ready for another configuration when their parent does, and take it when it does. */
  readonly follower: ConfigurationFollower
  /** How a reload ended: for their heartbeats. */
  tell(outcome: Outcome): void
  close(): Promise<void>
}

const restartAfterMs = 1_000
/** For a worker to open what another configuration needs. */
const prepareMs = 60_000

/** True in a process that `startWorkerProcesses` made. */
export function isWorkerProcess(): boolean {
  return cluster.isWorker
}

/** Tells the parent that this worker process serves. */
export function tellReady(listens: readonly string[]): void {
  process.send?.({ kind: 'ready', listens } satisfies ToParent)
}

/**
 * Runs one service in several processes that share its ports: they all accept on the same sockets, so the kernel hands a connection to
 * whichever is free. A process that ends by itself is started again.
 * @returns when all of them serve, with what they listen on
 */
export async function startWorkerProcesses(options: {
  readonly count: number
  readonly args: readonly string[]
  /** Of the files in force now, by path. */
  readonly texts: () => ReadonlyMap<string, string>
  readonly log: Logger
}): Promise<WorkerProcesses & { readonly listens: readonly string[] }> {
  const { count, args, texts, log } = options
  const atStart = [...texts()]
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({ args: [...args] })
  const workers = new Set<Worker>()
  let closing = false

  function start(): Worker {
    const worker = cluster.fork()
    workers.add(worker)
    worker.on('message', (message: ToParent) => {
      if (message.kind === 'asks texts')
        worker.send({ kind: 'texts', inForce: [...texts()], atStart } satisfies ToWorker)
    })
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

  const send = (message: ToWorker): void => {
    for (const worker of workers) if (worker.isConnected()) worker.send(message)
  }
  let round = 0

  /** @throws what a worker says that cannot go along; the others are told to leave it */
  async function prepare(revision: string): Promise<void> {
    round += 1
    const answers = [...workers].map((worker) => untilPrepared(worker, round))
    send({ kind: 'prepare', round })
    try {
      for (const answer of await Promise.all(answers)) {
        if (answer.kind === 'refused') throw new Error(answer.fault)
        if (answer.revision !== revision) throw new Error('the files changed while they were read: they are read again')
      }
    } catch (error) {
      send({ kind: 'abandon' })
      throw error
    }
  }

  const follower: ConfigurationFollower = {
    async prepare(next) {
      await prepare(next.revision)
      return { commit: () => send({ kind: 'commit' }), abandon: async () => send({ kind: 'abandon' }) }
    },
  }
  try {
    const listens = await Promise.all(Array.from({ length: count }, () => untilReady(start())))
    return { listens: listens[0] ?? [], follower, tell: (outcome) => send({ kind: 'outcome', outcome }), close }
  } catch (error) {
    await close()
    throw error
  }
}

function untilReady(worker: Worker): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    worker.on('message', (message: ToParent) => {
      if (message.kind === 'ready') resolve(message.listens)
    })
    worker.once('exit', () => reject(new Error('a worker process could not start; its message stands above')))
  })
}

/** Rejects when the worker ends, or takes too long. */
async function untilPrepared(
  worker: Worker,
  round: number,
): Promise<Extract<ToParent, { readonly kind: 'prepared' | 'refused' }>> {
  const signal = AbortSignal.timeout(prepareMs)
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      worker.off('message', onMessage)
      worker.off('exit', onExit)
    }
    const onMessage = (message: ToParent): void => {
      if (!('round' in message) || message.round !== round) return
      finish()
      resolve(message)
    }
    const fail = (reason: string): void => {
      finish()
      reject(new Error(`worker process ${worker.process.pid}: ${reason}`))
    }
    const onExit = (): void => fail('it ended')
    worker.on('message', onMessage)
    worker.once('exit', onExit)
    signal.addEventListener('abort', () => fail('it was not ready in time'), { once: true })
  })
}
