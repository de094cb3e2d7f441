import { parentPort, workerData } from 'node:worker_threads'

export type Work = (task: unknown) => unknown

/** What a module that runs in a thread exports: its work, or what makes it ready to work; the time for that is not the first task's. */
export type ThreadModule = { readonly default: Work } | { readonly open: () => Promise<Work> }

export type ThreadAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }

/** Entry of the threads of worker-pool.ts: one task at a time, for the module that `workerData` names. */
const module = (await import(workerData as string)) as ThreadModule
const work = 'open' in module ? await module.open() : module.default
parentPort?.on('message', (task: unknown) => void answer(task))
parentPort?.postMessage({ kind: 'ready' } satisfies ThreadAnswer)

async function answer(task: unknown): Promise<void> {
  try {
    parentPort?.postMessage({ kind: 'done', result: await work(task) } satisfies ThreadAnswer)
  } catch (error) {
    postFailure(error)
  }
}

/** An error with something in it that cannot leave the thread is told by its text. */
function postFailure(error: unknown): void {
  try {
    parentPort?.postMessage({ kind: 'failed', error } satisfies ThreadAnswer)
  } catch {
    parentPort?.postMessage({ kind: 'failed', error: new Error(String(error)) } satisfies ThreadAnswer)
  }
}
