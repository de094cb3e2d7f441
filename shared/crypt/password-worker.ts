import { parentPort } from 'node:worker_threads'

import { checkPassword } from './check-password.ts'

/** Entry of the worker thread that verify-password.ts starts. */
export interface PasswordQuestion {
  readonly number: number
  readonly password: string
  readonly hash: string
}

export type PasswordAnswer =
  | { readonly number: number; readonly matches: boolean }
  | { readonly number: number; readonly failure: string }

parentPort?.on('message', (question: PasswordQuestion) => {
  parentPort?.postMessage(answer(question))
})

function answer({ number, password, hash }: PasswordQuestion): PasswordAnswer {
  try {
    return { number, matches: checkPassword(password, hash) }
  } catch (error) {
    return { number, failure: (error as Error).message }
  }
}
