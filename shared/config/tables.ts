import { readFileSync, statSync } from 'node:fs'

import { compileDomains } from './domain-pattern.ts'
import { compileExpression, ExpressionError } from './ere.ts'
import type { Expression } from './ere.ts'
import { compileMailboxes } from './mailbox-pattern.ts'
import type { Table } from './model.ts'
import { compileNetworks } from './network.ts'
import { parsePasswdFile, parseTableFile, type TableContent } from './table-file.ts'
import { openTextFiles, type TextFiles } from './text-files.ts'

/**
 * Look-ups in tables. A file is read at its first use and again when it has changed (seen within a second); a look-up sees the
 * old content or the new, never a mixture. A new content that cannot be read keeps the old one in force.
 * Every method throws TableError when a file could not be read even once: a temporary failure, never "no match".
 */
export interface TableSet {
  /** `for domain`, `helo`, `from rdns`. */
  matchesDomain(table: Table, host: string): boolean
  /** `from src`; `local` for a message made here. */
  matchesAddress(table: Table, address: string): boolean
  /** `mail-from`, `rcpt-to`; the null reverse-path is `@`. */
  matchesMailbox(table: Table, address: string): boolean
  /** `tag`, `auth`: equality without case. */
  contains(table: Table, word: string): boolean
  /** Each entry is an extended regular expression. */
  matchesExpression(table: Table, subject: string): boolean
  /** Value of a key in a map; keys compare without case. */
  lookup(table: Table, key: string): string | undefined
  /** Entries of a list, keys of a map. */
  entries(table: Table): readonly string[]
  /** Listener credentials: the crypt(3) hash of a user. */
  passwordHash(table: Table, user: string): string | undefined
  /** Relay credentials, `label user:password`. */
  relayLogin(table: Table, label: string): RelayLogin | undefined
  /** Userbase, `name uid:gid:home`. */
  userInfo(table: Table, user: string): UserInfo | undefined
  /** What expansion reads beside tables: includes, .forward files. */
  readonly files: TextFiles
  /** Every file is read again at its next look-up, changed or not. */
  refresh(): void
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
}

/** A table cannot be read: answer 451. */
export class TableError extends Error {
  override readonly name = 'TableError'
}

const recheckMs = 1000

interface Matchers {
  readonly content: TableContent
  readonly entries: readonly string[]
  readonly domains: () => ReturnType<typeof compileDomains>
  readonly networks: () => ReturnType<typeof compileNetworks>
  readonly mailboxes: () => ReturnType<typeof compileMailboxes>
  readonly words: () => ReadonlySet<string>
  readonly expressions: () => readonly Expression[]
}

interface Loaded {
  matchers: Matchers
  version: string
  checkedAt: number
}

export function openTables(options: TableOptions = {}): TableSet {
  const { delimiter = '+', onWarning = () => undefined, now = Date.now } = options
  const inline = new WeakMap<Table, Matchers>()
  const files = new Map<string, Loaded>()

  function matchersOf(table: Table): Matchers {
    if (table.source.kind === 'inline') {
      const known = inline.get(table)
      if (known !== undefined) return known
      const matchers = compile(inlineContent(table.source), delimiter)
      inline.set(table, matchers)
      return matchers
    }
    const { path, format } = table.source
    const loaded = files.get(path)
    if (loaded === undefined) return load(table.name, path, format)
    if (now() - loaded.checkedAt >= recheckMs) reload(table.name, path, format, loaded)
    return loaded.matchers
  }

  function load(name: string, path: string, format: 'passwd' | undefined): Matchers {
    try {
      const version = versionOf(path)
      const matchers = compile(readContent(path, format), delimiter)
      files.set(path, { matchers, version, checkedAt: now() })
      return matchers
    } catch (error) {
      throw new TableError(`table "${name}": ${path}: ${reasonOf(error)}`, { cause: error })
    }
  }

  function reload(name: string, path: string, format: 'passwd' | undefined, loaded: Loaded): void {
    loaded.checkedAt = now()
    let version = 'unreadable'
    try {
      version = versionOf(path)
      if (version === loaded.version) return
      loaded.matchers = compile(readContent(path, format), delimiter)
    } catch (error) {
      if (version !== loaded.version) {
        onWarning(`table "${name}": ${path}: ${reasonOf(error)}; the content read before stays in force`)
      }
    }
    loaded.version = version
  }

  function lookup(table: Table, key: string): string | undefined {
    const { content } = matchersOf(table)
    return content.kind === 'map' ? content.map.get(key.toLowerCase()) : undefined
  }

  return {
    matchesDomain: (table, host) => matchersOf(table).domains().matches(host),
    matchesAddress: (table, address) => matchersOf(table).networks().matches(address),
    matchesMailbox: (table, address) => matchersOf(table).mailboxes().matches(address),
    contains: (table, word) => matchersOf(table).words().has(word.toLowerCase()),
    matchesExpression: (table, subject) =>
      matchersOf(table)
        .expressions()
        .some((expression) => expression.test(subject)),
    lookup,
    entries: (table) => matchersOf(table).entries,
    passwordHash(table, user) {
      const value = lookup(table, user)
      return isPasswd(table) ? value?.split(':')[0] : value
    },
    relayLogin(table, label) {
      const value = lookup(table, label)
      const colon = value?.indexOf(':') ?? -1
      if (value === undefined || colon < 1) return undefined
      return { user: value.slice(0, colon), password: value.slice(colon + 1) }
    },
    userInfo(table, user) {
      const fields = lookup(table, user)?.split(':')
      const [uid, gid, home] = isPasswd(table) ? [fields?.[1], fields?.[2], fields?.[4]] : (fields ?? [])
      if (uid === undefined || gid === undefined || home === undefined) return undefined
      return { uid: Number(uid), gid: Number(gid), home }
    },
    files: openTextFiles(now),
    refresh() {
      for (const loaded of files.values()) {
        loaded.checkedAt = Number.NEGATIVE_INFINITY
        loaded.version = 'to be read again'
      }
    },
  }
}

/** What a table of smtpd.conf itself holds, keys in lower case. */
export function inlineContent(source: Extract<Table['source'], { readonly kind: 'inline' }>): TableContent {
  if (source.map === undefined) return { kind: 'list', list: source.list ?? [] }
  return { kind: 'map', map: new Map([...source.map].map(([key, value]) => [key.toLowerCase(), value])) }
}

function compile(content: TableContent, delimiter: string): Matchers {
  const entries = content.kind === 'list' ? content.list : [...content.map.keys()]
  return {
    content,
    entries,
    domains: once(() => compileDomains(entries)),
    networks: once(() => compileNetworks(entries)),
    mailboxes: once(() => compileMailboxes(entries, delimiter)),
    words: once(() => new Set(entries.map((entry) => entry.toLowerCase()))),
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

function readContent(path: string, format: 'passwd' | undefined): TableContent {
  const text = readFileSync(path, 'utf8')
  return format === 'passwd' ? parsePasswdFile(text) : parseTableFile(text)
}

function versionOf(path: string): string {
  const { mtimeNs, size, ino } = statSync(path, { bigint: true })
  return `${mtimeNs}/${size}/${ino}`
}

function isPasswd(table: Table): boolean {
  return table.source.kind === 'file' && table.source.format === 'passwd'
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
