import { TableError } from '../config/external-table.ts'
import type { OpenExternal } from '../config/external-table.ts'
import type { Logger } from '../log.ts'
import { openLmtpDirectory } from './lmtp-directory.ts'
import { openProcessTable } from './process-table.ts'

export interface ExternalParts {
  readonly log: Logger
  /** Epoch ms. */
  readonly now: () => number
  /** For one answer of a program. */
  readonly timeoutMs?: number
  readonly restartMs?: number
}

/** Opens the tables that are programs or servers. */
export function externalOpener({ log, now, timeoutMs = 5_000, restartMs = 500 }: ExternalParts): OpenExternal {
  return ({ name, source }) => {
    switch (source.kind) {
      case 'process': {
        const { program, config } = source
        const run = { name, program, ...(config === undefined ? {} : { config }) }
        return openProcessTable({ ...run, timeoutMs, restartMs, log, now })
      }
      case 'lmtp':
        return openLmtpDirectory({ ...source, log, now })
      case 'inline':
      case 'file':
      case 'patterns':
      case 'static':
      case 'environment':
        throw new TableError(`table "${name}" is no external table`)
    }
  }
}
