import type { Worker } from 'node:worker_threads'

import type { SqliteBackend } from '../config/table-backend.ts'
import { startWorker } from '../workers/start-worker.ts'
import type { SqlDatabase } from './sql-table.ts'
import type { SqliteAnswer, SqliteQuestion } from './sqlite-worker.ts'

interface Waiting {
  readonly resolve: (rows: readonly (readonly unknown[])[]) => void
  readonly reject: (error: Error) => void
}

const maxWaiting = 1000

/** A database file, read in a thread of its own: a slow disk or a lock never blocks the event loop. */
export function openSqlite({ path, timeoutMs: busyMs }: SqliteBackend): SqlDatabase {
  const waiting = new Map<number, Waiting>()
  let worker: Worker | undefined
  let count = 0

  function started(): Worker {
    if (worker !== undefined) return worker
    const one = startWorker('./sqlite-worker.ts', import.meta.url)
    one.unref()
    one.on('message', settle)
    one.on('error', (error: Error) => fail(one, error))
    one.on('exit', () => fail(one, new Error('its thread has ended')))
    worker = one
    return one
  }

  function settle(answer: SqliteAnswer): void {
    const asked = waiting.get(answer.number)
    waiting.delete(answer.number)
    if ('failure' in answer) asked?.reject(new Error(answer.failure))
    else asked?.resolve(answer.rows)
  }

  function fail(one: Worker, error: Error): void {
    if (one !== worker) return
    worker = undefined
    for (const asked of waiting.values()) asked.reject(error)
    waiting.clear()
  }

  return {
    rows(text, values) {
      if (waiting.size >= maxWaiting) return Promise.reject(new Error('too many questions wait for it'))
      return new Promise((resolve, reject) => {
        const question: SqliteQuestion = { number: (count += 1), path, busyMs, text, values }
        waiting.set(question.number, { resolve, reject })
        started().postMessage(question)
      })
    },
    async close() {
      await worker?.terminate()
    },
  }
}
