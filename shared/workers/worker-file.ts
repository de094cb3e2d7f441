import { extname } from 'node:path'

/** How a worker thread is started: its entry, and what Node must be told to run it. */
export interface WorkerFile {
  readonly filename: string
  readonly execArgv: readonly string[]
}

/**
 * The entry `name` (no extension) beside the module `base` (its `import.meta.url`): `.ts` where we run from source, `.js` in
 * the compiled build. From source on a Node that cannot run TypeScript itself, tsx goes along into the thread, however
 * this process got it.
 */
export function workerFile(base: string, name: string): WorkerFile {
  const extension = extname(new URL(base).pathname)
  const filename = new URL(`${name}${extension}`, base).href
  if (extension !== '.ts' || runsTypeScript() || process.execArgv.some((argument) => argument.includes('tsx')))
    return { filename, execArgv: process.execArgv }
  return { filename, execArgv: [...process.execArgv, '--import', import.meta.resolve('tsx')] }
}

/** Node 22.18 and newer erase types by themselves. */
function runsTypeScript(): boolean {
  return 'typescript' in process.features && process.features.typescript !== false
}
