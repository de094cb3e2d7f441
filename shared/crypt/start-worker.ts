import { Worker } from 'node:worker_threads'

/**
 * A worker thread for a module of ours, `path` relative to `base` (an `import.meta.url`) and ending in `.ts`. Works from
 * source under tsx, whose hooks Node 20 does not hand on to threads, and from the built `.js` files.
 */
export function startWorker(path: string, base: string): Worker {
  if (!base.endsWith('.ts')) return new Worker(new URL(path.replace(/\.ts$/, '.js'), base))
  const entry = JSON.stringify(new URL(path, base).href)
  const hooks = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  return new Worker(`import(${hooks}).then(({ register }) => { register(); return import(${entry}) })`, { eval: true })
}
