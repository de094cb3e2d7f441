import { TableError } from '../config/external-table.ts'
import type { ExternalTable, OpenExternal } from '../config/external-table.ts'
import type { Table } from '../config/model.ts'
import type { Logger } from '../log.ts'
import { openBackendTable } from './backend-table.ts'
import { openDovecotUsers } from './dovecot-users.ts'
import { openHttpTable } from './http-table.ts'
import { openLmtpDirectory } from './lmtp-directory.ts'
import { openProcessTable } from './process-table.ts'
import { openSocketmap } from './socketmap.ts'
import { openTcpTable } from './tcp-table.ts'

type Server = Extract<Table['source'], { readonly kind: 'server' }>

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
      case 'server':
        return openServer(source, timeoutMs)
      case 'backend':
        return openBackendTable(source.backend, source.config)
      case 'http':
        return openHttpTable({ url: source.url, timeoutMs })
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

function openServer({ protocol, place, map = '' }: Server, timeoutMs: number): ExternalTable {
  switch (protocol) {
    case 'tcp':
      return openTcpTable({ place, timeoutMs })
    case 'socketmap':
      return openSocketmap({ place, map, timeoutMs })
    case 'dovecot':
      return openDovecotUsers({ place, timeoutMs })
  }
}
