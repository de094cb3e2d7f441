import { isExternal, tableServices } from '../../shared/config/external-table.ts'
import type { TableService } from '../../shared/config/external-table.ts'
import type { Table } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import { openTables } from '../../shared/config/tables.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import { silentLog } from '../../shared/log.ts'
import { externalOpener } from '../../shared/table-host/open-external.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { loadPlace } from './connect.ts'
import { visible } from './terminal.ts'
import { textTable } from './text-table.ts'

export const tableQuery: Command = {
  words: ['table', 'query'],
  operands: [
    { name: 'NAME', required: true },
    { name: 'KEY', required: true },
  ],
  options: [
    {
      name: 'service',
      value: 'SERVICE',
      summary: `what the key is asked for (alias): ${tableServices.join(', ')}`,
    },
  ],
  summary:
    'the value of a key in a table, as mail would find it; exit code 1 when it is not there, 75 when nobody can tell',
  run: query,
}

export const tableCheck: Command = {
  words: ['table', 'check'],
  operands: [{ name: 'NAME', required: false }],
  summary: 'whether tables can be read, or asked, now, and how many entries they have; exit code 1 when one cannot',
  run: check,
}

/** EX_TEMPFAIL of sysexits(3). */
const nobodyCanTell = 75

async function query(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const [name = '', key = ''] = operands
  const service = serviceOf(options.text('service'))
  return withTables(invocation, async (tables, declared) => {
    const table = tableNamed(declared, name)
    const value = await valueOf(tables, table, key, service).catch((error: unknown) => {
      throw new ControlError(reasonOf(error), nobodyCanTell, { cause: error })
    })
    if (options.has('json'))
      terminal.print(JSON.stringify({ table: name, key, found: value !== undefined, value }, undefined, 2))
    else if (value !== undefined) terminal.print(visible(value))
    return value === undefined ? exitCodes.failed : exitCodes.done
  })
}

async function check(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const [name] = operands
  return withTables(invocation, async (tables, declared) => {
    const chosen = name === undefined ? [...declared.values()] : [tableNamed(declared, name)]
    const found = await Promise.all(chosen.map((table) => stateOf(tables, table)))
    if (options.has('json')) terminal.print(JSON.stringify(found, undefined, 2))
    else {
      const rows = found.map(({ table, source, entries, fault }) => [
        visible(table),
        source,
        fault === undefined
          ? entries === undefined
            ? 'answers'
            : `${entries} ${entries === 1 ? 'entry' : 'entries'}`
          : visible(fault),
      ])
      for (const line of textTable([{}, {}, {}], rows)) terminal.print(line)
    }
    return found.every(({ fault }) => fault === undefined) ? exitCodes.done : exitCodes.failed
  })
}

interface TableState {
  readonly table: string
  readonly source: string
  /** Absent: it has no list of them. */
  readonly entries?: number
  readonly fault?: string
}

/** A table without a list of its entries is asked for a key that nobody has: it is well when it answers. */
async function stateOf(tables: TableSet, table: Table): Promise<TableState> {
  const state = { table: table.name, source: describe(table) }
  try {
    if (!isExternal(table)) return { ...state, entries: tables.entries(table).length }
    await settle(tables, (settled) => settled.lookup(table, 'sluice-table-check', askable(table)))
    return state
  } catch (error) {
    return { ...state, fault: reasonOf(error) }
  }
}

/** Mailbox servers have users and nothing else. */
function askable({ source }: Table): TableService {
  return source.kind === 'server' && source.protocol === 'dovecot' ? 'userinfo' : 'alias'
}

/** By the rules of what it is asked for; without it the value of the key, or the key where it stands in a list. */
async function valueOf(
  tables: TableSet,
  table: Table,
  key: string,
  service: TableService | undefined,
): Promise<string | undefined> {
  return settle(tables, (settled) => {
    switch (service) {
      case 'domain':
        return settled.matchesDomain(table, key) ? key : undefined
      case 'netaddr':
        return settled.matchesAddress(table, key) ? key : undefined
      case 'mailaddr':
        return settled.matchesMailbox(table, key) ? key : undefined
      case 'regex':
        return settled.matchesExpression(table, key) ? key : undefined
      case 'string':
        return settled.contains(table, key) ? key : undefined
      case undefined: {
        const value = settled.lookup(table, key, askable(table))
        return value ?? (!isExternal(table) && settled.contains(table, key) ? key : undefined)
      }
      case 'addrname':
      case 'alias':
      case 'credentials':
      case 'mailaddrmap':
      case 'relayhost':
      case 'source':
      case 'userinfo':
        return settled.lookup(table, key, service)
    }
  })
}

async function withTables(
  invocation: Invocation,
  use: (tables: TableSet, declared: ReadonlyMap<string, Table>) => Promise<number>,
): Promise<number> {
  const { configuration } = await loadPlace(invocation)
  const tables = openTables({
    delimiter: configuration.subAddressDelimiter,
    onWarning: (message) => invocation.terminal.warn(message),
    external: externalOpener({ log: silentLog(), now: Date.now }),
    environment: invocation.environment,
  })
  try {
    return await use(tables, configuration.tables)
  } finally {
    await tables.close()
  }
}

function tableNamed(declared: ReadonlyMap<string, Table>, name: string): Table {
  const table = declared.get(name)
  if (table !== undefined) return table
  const known = [...declared.keys()].join(', ')
  throw new ControlError(known === '' ? 'no table is declared' : `there is no table "${name}"; one of: ${known}`)
}

function serviceOf(word: string | undefined): TableService | undefined {
  const service = tableServices.find((one) => one === word)
  if (word !== undefined && service === undefined)
    throw new UsageError(`'${word}' is nothing a table is asked for; one of: ${tableServices.join(', ')}`)
  return service
}

/** Without what may be a secret. */
function describe({ source }: Table): string {
  switch (source.kind) {
    case 'inline':
      return 'inline'
    case 'file':
      return `${source.format ?? 'file'}:${source.path}`
    case 'patterns':
      return `${source.format}:${source.path}`
    case 'static':
      return 'static'
    case 'environment':
      return `environ:${source.prefix}`
    case 'process':
      return source.program
    case 'server':
      return source.protocol
    case 'http':
      return source.url
    case 'backend':
      return `${source.backend}:${source.config}`
    case 'lmtp':
      return source.destination
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
