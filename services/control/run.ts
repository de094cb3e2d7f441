import { ConfigurationError } from '../../shared/config/load.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import { SpoolKeyError } from '../../shared/spool/keyring.ts'
import { SpoolFullError, SpoolReadError } from '../../shared/spool/spool.ts'
import { UsageError as StartUsageError } from '../../shared/start/command-line.ts'
import { StartError } from '../../shared/start/start-error.ts'
import { parseCommandLine } from './command-line.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import { commands } from './commands.ts'
import { helpText } from './help.ts'
import { runKept } from './kept-commands.ts'
import type { Terminal } from './terminal.ts'

/** Runs one command line; every trouble ends in a line on standard error and an exit code. */
export async function runControl(
  args: readonly string[],
  parts: { readonly terminal: Terminal; readonly environment: NodeJS.ProcessEnv },
): Promise<number> {
  const { terminal, environment } = parts
  try {
    const line = parseCommandLine(commands, args)
    if (line.kind === 'help') {
      terminal.print(helpText(commands, line.command).trimEnd())
      return exitCodes.done
    }
    return await runKept(line.command, { ...line, terminal, environment })
  } catch (error) {
    return explain(error, terminal)
  }
}

function explain(error: unknown, terminal: Terminal): number {
  if (error instanceof ConfigurationError) {
    terminal.warn(error.message)
    return exitCodes.configuration
  }
  if (!(error instanceof Error)) throw error
  const expected = [
    UsageError,
    ControlError,
    StartUsageError,
    StartError,
    OperationError,
    QueueUnavailableError,
    SpoolFullError,
    SpoolKeyError,
    SpoolReadError,
  ]
  if (!expected.some((kind) => error instanceof kind)) {
    terminal.warn(`sluicectl: ${error.stack ?? error.message}`)
    return exitCodes.failed
  }
  terminal.warn(`sluicectl: ${error.message}`)
  if (error instanceof UsageError) return exitCodes.usage
  return error instanceof ControlError || error instanceof StartError ? error.exitCode : exitCodes.failed
}
