import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { runControl } from './run.ts'
import { openTerminal } from './terminal.ts'

/** The process: standard streams, environment, exit code. */
export async function run(): Promise<void> {
  const { stdin: input, stdout: output, stderr: errors, env, argv } = process
  // `sluicectl ... | head` ends the reader first: that is no error.
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
  const terminal = openTerminal({ input, output, errors }, env)
  process.exitCode = await runControl(argv.slice(2), { terminal, environment: env })
}

const started = process.argv[1]
if (started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url)) await run()
