import { foldedAddress } from '../mail/ascii-domain.ts'
import { compileDomains } from './domain-pattern.ts'
import { compileExpression, ExpressionError } from './ere.ts'
import type { Expression } from './ere.ts'
import { compileMailboxes } from './mailbox-pattern.ts'
import { isExternal, noAnswers, TableError } from './external-table.ts'
import type { KnownAnswers, OpenExternal, TableService } from './external-table.ts'
import { ExternalTables } from './external-tables.ts'
import type { Table } from './model.ts'
import { compileNetworks } from './network.ts'
import { parsePatternTable } from './pattern-table.ts'
import type { PatternTable } from './pattern-table.ts'
import type { Suspending } from './settle.ts'
import type { TableContent } from './table-file.ts'
import { parseTableText } from './table-text.ts'
import { openTextFiles, type TextFiles } from './text-files.ts'
import { WatchedFiles } from './watched-files.ts'

/**
 * Look-ups in tables. A file is read at its first use and again when it has changed (seen within a second); a look-up sees the
 * old content or the new, never a mixture. A new content that cannot be read keeps the old one in force.
 * Every method throws TableError when a file could not be read even once: a temporary failure, never "no match". Where the answer
 * of an external table is not there yet it throws PendingLookup: evaluate within `settle`.
 */
export interface TableSet extends Suspending<TableSet> {
  /** `for domain`, `helo`, `from rdns`. */
  matchesDomain(table: Table, host: string): boolean
  /** `from src`; `local` for a message made here. */
  matchesAddress(table: Table, address: string): boolean
  /** `mail-from`, `rcpt-to`; the null reverse-path is `@`. */
  matchesMailbox(table: Table, address: string): boolean
  /** `tag`, `auth`: equality without case. */
  contains(table: Table, word: string, service?: TableService): boolean
  /** Each entry is an extended regular expression. */
  matchesExpression(table: Table, subject: string): boolean
  /** Value of a key in a map; keys compare without case. `service`: what an external table is asked for; `alias` when left out. */
  lookup(table: Table, key: string, service?: TableService): string | undefined
  /** Entries of a list, keys of a map; of an external table one at a time, by turns. `service`: `source` when left out. */
  entries(table: Table, service?: TableService): readonly string[]
  /** Listener credentials: the crypt(3) hash of a user. */
  passwordHash(table: Table, user: string): string | undefined
  /** Relay credentials, `label user:password`. */
  relayLogin(table: Table, label: string): RelayLogin | undefined
  /** Userbase, `name uid:gid:home`. */
  userInfo(table: Table, user: string): UserInfo | undefined
  /** What expansion reads beside tables: includes, .forward files. */
  readonly files: TextFiles
  /** Every file is read again at its next look-up, changed or not; external tables are told to read their sources again. */
  refresh(): void
  /** The configuration has changed: external tables that are none of these are closed, the others told to read their sources again. */
  follow(tables: Iterable<Table>): Promise<void>
  /** Ends the external tables. */
  close(): Promise<void>
}

export interface RelayLogin {
  readonly user: string
  readonly password: string
}

export interface UserInfo {
  readonly uid: number
  readonly gid: number
  readonly home: string
}

export interface TableOptions {
  /** Between user and sub-address. */
  readonly delimiter?: string
  /** Told when a changed file cannot be used and the old content stays. */
  readonly onWarning?: (message: string) => void
  readonly now?: () => number
  /** Opens tables that are neither inline nor files; absent: they are temporary failures. */
  readonly external?: OpenExternal
  /** What tables of `environ:` hold. */
  readonly environment?: Readonly<NodeJS.ProcessEnv>
}

export { TableError } from './external-table.ts'

interface Matchers {
  readonly content: TableContent
  readonly entries: readonly string[]
  readonly domains: () => ReturnType<typeof compileDomains>
  readonly networks: () => ReturnType<typeof compileNetworks>
  readonly mailboxes: () => ReturnType<typeof compileMailboxes>
  readonly words: () => ReadonlySet<string>
  readonly expressions: () => readonly Expression[]
}

export function openTables(options: TableOptions = {}): TableSet {
  const { delimiter = '+', onWarning = () => undefined, now = Date.now, external = nobodyOpens } = options
  const { environment = process.env } = options
  const textFiles = openTextFiles(now)
  const externals = new ExternalTables({ open: external, now, onWarning })
  const unchanging = new WeakMap<Table, Matchers>()
  const files = new WatchedFiles<Matchers>({ now, onWarning })
  const patterns = new WatchedFiles<PatternTable>({ now, onWarning })

  function matchersOf(table: Table): Matchers {
    const { name, source } = table
    if (source.kind === 'file')
      return files.read(name, source.path, source.format ?? '', (text) =>
        compile(parseTableText(text, source.format), delimiter),
      )
    if (source.kind !== 'inline' && source.kind !== 'environment')
      throw new TableError(`table "${name}" is asked for what only a file can tell`)
    const known = unchanging.get(table)
    if (known !== undefined) return known
    const content = source.kind === 'inline' ? inlineContent(source) : variablesOf(environment, source.prefix)
    const matchers = compile(content, delimiter)
    unchanging.set(table, matchers)
    return matchers
  }

  function patternsOf({ name, source }: Table): PatternTable | undefined {
    if (source.kind !== 'patterns') return undefined
    const { path, format } = source
    return patterns.read(name, path, format, (text) => parsePatternTable(text, format))
  }

  function answering(known: KnownAnswers): TableSet {
    function ask(table: Table, kind: 'lookup' | 'check', service: TableService, key: string): string | undefined {
      if (/[\r\n\0]/.test(key)) return undefined
      if (table.source.kind === 'static') return table.source.value
      const own = patternsOf(table)
      if (own !== undefined) return own.lookup(key)
      return externals.answer(table, { ask: kind, service, key: folded(table, key) }, known).value
    }

    const has = (table: Table, service: TableService, key: string): boolean =>
      ask(table, 'check', service, key) !== undefined

    function lookup(table: Table, key: string, service: TableService = 'alias'): string | undefined {
      if (isExternal(table)) return ask(table, 'lookup', service, key)
      const { content } = matchersOf(table)
      return content.kind === 'map' ? content.map.get(key.toLowerCase()) : undefined
    }

    function fetched(table: Table, service: TableService): readonly string[] {
      if (table.source.kind === 'static') return [table.source.value]
      if (table.source.kind === 'patterns') throw new TableError(`table "${table.name}" has patterns, and no list`)
      const { value } = externals.answer(table, { ask: 'fetch', service }, known)
      return value === undefined ? [] : [value]
    }

    return {
      answering,
      matchesDomain: (table, host) =>
        isExternal(table) ? has(table, 'domain', host) : matchersOf(table).domains().matches(host),
      matchesAddress: (table, address) =>
        isExternal(table) ? has(table, 'netaddr', address) : matchersOf(table).networks().matches(address),
      matchesMailbox: (table, address) =>
        isExternal(table) ? has(table, 'mailaddr', address) : matchersOf(table).mailboxes().matches(address),
      contains: (table, word, service = 'string') =>
        isExternal(table) ? has(table, service, word) : matchersOf(table).words().has(word.toLowerCase()),
      matchesExpression: (table, subject) =>
        isExternal(table)
          ? has(table, 'regex', subject)
          : matchersOf(table)
              .expressions()
              .some((expression) => expression.test(subject)),
      lookup,
      entries: (table, service = 'source') => (isExternal(table) ? fetched(table, service) : matchersOf(table).entries),
      passwordHash(table, user) {
        const value = lookup(table, user, 'credentials')
        if (isExternal(table)) return hashOf(value, user)
        return isPasswd(table) ? value?.split(':')[0] : value
      },
      relayLogin(table, label) {
        const value = lookup(table, label, 'credentials')
        const colon = value?.indexOf(':') ?? -1
        if (value === undefined || colon < 1) return undefined
        return { user: value.slice(0, colon), password: value.slice(colon + 1) }
      },
      userInfo(table, user) {
        const fields = userFields(table, lookup(table, user, 'userinfo'))
        const [uid, gid, home] = isPasswd(table) ? [fields[1], fields[2], fields[4]] : fields
        if (uid === undefined || gid === undefined || home === undefined) return undefined
        return { uid: Number(uid), gid: Number(gid), home }
      },
      files: textFiles,
      refresh() {
        files.refresh()
        patterns.refresh()
        externals.refresh()
      },
      follow: (tables) => externals.follow(tables),
      close: () => externals.close(),
    }
  }

  return answering(noAnswers)
}

function nobodyOpens(table: Table): never {
  throw new TableError(`table "${table.name}" cannot be opened here`)
}

/** A mailbox server has its own idea of upper and lower case. */
function folded({ source }: Table, key: string): string {
  return source.kind === 'lmtp' ? key : key.toLowerCase()
}

/** External tables answer `user:hash`, as upstream's do, or the hash alone; Dovecot's `{BLF-CRYPT}` before it says what it shows. */
function hashOf(value: string | undefined, user: string): string | undefined {
  const prefix = `${user.toLowerCase()}:`
  const hash = value?.toLowerCase().startsWith(prefix) === true ? value.slice(prefix.length) : value
  return hash?.replace(/^\{(?:[A-Z0-9]+-)?CRYPT\}/i, '')
}

/** External tables answer `name:uid:gid:home`, as upstream's do, or without the name. */
function userFields(table: Table, value: string | undefined): readonly string[] {
  const fields = value?.split(':') ?? []
  return isExternal(table) && fields.length > 3 ? fields.slice(1) : fields
}

/** What a table of smtpd.conf itself holds, keys in lower case, their domains in A-labels. */
export function inlineContent(source: Extract<Table['source'], { readonly kind: 'inline' }>): TableContent {
  if (source.map === undefined) return { kind: 'list', list: source.list ?? [] }
  return { kind: 'map', map: new Map([...source.map].map(([key, value]) => [foldedAddress(key), value])) }
}

/** Variables whose name begins with the prefix, without it. */
function variablesOf(environment: Readonly<NodeJS.ProcessEnv>, prefix: string): TableContent {
  const entries = Object.entries(environment).flatMap(([name, value]): [string, string][] =>
    name.startsWith(prefix) && value !== undefined ? [[name.slice(prefix.length).toLowerCase(), value]] : [],
  )
  return { kind: 'map', map: new Map(entries) }
}

function compile(content: TableContent, delimiter: string): Matchers {
  const entries = content.kind === 'list' ? content.list : [...content.map.keys()]
  return {
    content,
    entries,
    domains: once(() => compileDomains(entries)),
    networks: once(() => compileNetworks(entries)),
    mailboxes: once(() => compileMailboxes(entries, delimiter)),
    words: once(() => new Set(entries.map((entry) => foldedAddress(entry)))),
    expressions: once(() => entries.flatMap((entry) => expressionOf(entry))),
  }
}

/** An entry that is no expression never matches; the configuration's own are told when it is read. */
function expressionOf(entry: string): readonly Expression[] {
  try {
    return [compileExpression(entry)]
  } catch (error) {
    if (error instanceof ExpressionError) return []
    throw error
  }
}

function once<Value extends object>(make: () => Value): () => Value {
  let made: Value | undefined
  return () => (made ??= make())
}

function isPasswd(table: Table): boolean {
  return table.source.kind === 'file' && table.source.format === 'passwd'
}
