import { Worker } from 'node:worker_threads'
import type { WorkerOptions } from 'node:worker_threads'

/**
 * A worker thread for a module of ours, `path` relative to `base` (an `import.meta.url`) and ending in `.ts`. Works from
 * source under tsx, whose hooks Node 20 does not hand on to threads, and from the built `.js` files.
 */
export function startWorker(path: string, base: string, options: WorkerOptions = {}): Worker {
  const entry = workerFile(path, base)
  if (!base.endsWith('.ts')) return new Worker(new URL(entry), options)
  const hooks = import.meta.resolve('tsx/esm/api')
  return new Worker(
    `import(${JSON.stringify(hooks)}).then(({ register }) => { register(); return import(${JSON.stringify(entry)}) })`,
    { ...options, eval: true },
  )
}

/** The URL of such a module: `.ts` where we run from source, `.js` in the compiled build. */
export function workerFile(path: string, base: string): string {
  return new URL(base.endsWith('.ts') ? path : path.replace(/\.ts$/, '.js'), base).href
}
