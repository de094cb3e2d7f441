import { createHmac, randomBytes } from 'node:crypto'
import type { Worker } from 'node:worker_threads'

import type { PasswordAnswer, PasswordQuestion } from './password-worker.ts'
import { startWorker } from '../workers/start-worker.ts'

/** Checks passwords in a worker thread, one after the other, so that a login never blocks the event loop. */
export interface PasswordVerifier {
  /**
   * True when the password belongs to the hash (bcrypt, `$5$`, `$6$`).
   * @throws PasswordCheckError when the hash is of no known scheme, or too many checks wait
   */
  verify(password: string, hash: string): Promise<boolean>
  close(): Promise<void>
}

/** The check could not be made: a temporary failure, never a wrong password. */
export class PasswordCheckError extends Error {
  override readonly name = 'PasswordCheckError'
}

export interface PasswordVerifierOptions {
  /** Checks that may wait for the worker; more are refused at once. */
  readonly maxWaiting?: number
  /** How long a right password is remembered (as a keyed digest), so that a client with many connections costs one check. */
  readonly rememberMs?: number
  readonly now?: () => number
}

interface Waiting {
  readonly resolve: (matches: boolean) => void
  readonly reject: (error: Error) => void
}

/** A password longer than this is wrong without a look: the cost of SHA crypt grows with its square. */
const maxPasswordOctets = 1024
const maxRemembered = 10_000

export function createPasswordVerifier(options: PasswordVerifierOptions = {}): PasswordVerifier {
  const { maxWaiting = 200, rememberMs = 300_000, now = Date.now } = options
  const waiting = new Map<number, Waiting>()
  const remembered = new Map<string, number>()
  const key = randomBytes(32)
  let worker: Worker | undefined
  let count = 0
  let closed = false

  function started(): Worker {
    if (worker !== undefined) return worker
    const one = startWorker('./password-worker.ts', import.meta.url)
    one.unref()
    one.on('message', settle)
    one.on('error', (error: Error) => fail(one, error))
    one.on('exit', () => fail(one, new Error('the password worker ended')))
    worker = one
    return one
  }

  function settle(answer: PasswordAnswer): void {
    const asked = waiting.get(answer.number)
    waiting.delete(answer.number)
    if ('failure' in answer) asked?.reject(new PasswordCheckError(answer.failure))
    else asked?.resolve(answer.matches)
  }

  function fail(one: Worker, error: Error): void {
    if (one !== worker) return
    worker = undefined
    for (const asked of waiting.values()) asked.reject(new PasswordCheckError(error.message, { cause: error }))
    waiting.clear()
  }

  function ask(password: string, hash: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const question: PasswordQuestion = { number: (count += 1), password, hash }
      waiting.set(question.number, { resolve, reject })
      started().postMessage(question)
    })
  }

  return {
    async verify(password, hash) {
      if (closed) throw new PasswordCheckError('closed')
      if (Buffer.byteLength(password) > maxPasswordOctets) return false
      const digest = createHmac('sha256', key).update(`${hash}\n${password}`).digest('base64')
      if ((remembered.get(digest) ?? 0) > now()) return true
      if (waiting.size >= maxWaiting) throw new PasswordCheckError('too many logins at once')
      const matches = await ask(password, hash)
      if (matches && rememberMs > 0) remember(remembered, digest, now() + rememberMs)
      return matches
    },
    async close() {
      closed = true
      await worker?.terminate()
    },
  }
}

function remember(remembered: Map<string, number>, digest: string, until: number): void {
  remembered.set(digest, until)
  if (remembered.size <= maxRemembered) return
  for (const oldest of remembered.keys()) {
    remembered.delete(oldest)
    return
  }
}
