import { pino } from 'pino'

import { LogOutput } from './log-output.ts'

/** One JSON object a line. Never log content, AUTH arguments or keys. */
export interface Logger {
  trace(fields: object, text: string): void
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
  child(fields: object): Logger
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

/**
 * Logs to standard output. Lines are gathered and written at least every 100 ms (a synchronous write a line would cap the
 * SMTP side); `flush` writes what waits and is called before the process ends. `setLevel` counts for the children too.
 */
export function createLog(
  level: LogLevel,
  fields: object,
): { readonly log: Logger; flush(): void; setLevel(next: LogLevel): void } {
  const output = new LogOutput(1)
  const timer = setInterval(() => output.flush(), 100)
  timer.unref()
  // However it ends.
  process.once('exit', () => output.flushSync())
  const children: { level: string }[] = []
  const options = { level, base: fields, timestamp: pino.stdTimeFunctions.isoTime }
  const log = pino({ ...options, onChild: (child) => void children.push(child) }, output)
  return {
    log,
    flush: () => output.flushSync(),
    setLevel(next) {
      for (const one of [log, ...children]) one.level = next
    },
  }
}

/** For tests and command-line tools that print for themselves. */
export function silentLog(): Logger {
  return pino({ level: 'silent' })
}
