import { closest, type Span } from './diagnostic.ts'
import type { ReadText, Token } from './lexer.ts'
import type { SetBy } from './set-by.ts'
import type { Action, Limits, Listener, Pki, Position, Rule, SocketListener, SrsSettings, Table } from './model.ts'
import { defaultLibexec } from './table-program.ts'
import { positionOf, type TokenReader } from './token-reader.ts'

/** Kinds of names that are declared before they are used. */
export type NameKind = 'table' | 'action' | 'pki' | 'ca' | 'filter' | 'proc' | 'wrapper'

/** A file that a statement names and that must be there when the configuration is loaded. */
export interface NamedFile {
  readonly path: string
  readonly what: string
  readonly span: Span
}

/** 5.3 to 6.0.3, or 6.4 and later. */
export type Grammar = 'old' | 'modern'

/** Of the statements of one name so far. */
export interface PkiDraft {
  readonly at: Position
  readonly span: Span
  cert?: string
  key?: string
  dhe?: Pki['dhe']
  /** A statement of it has a fault, which is told: what is missing may stand there. */
  faulty?: boolean
}

/** What a grammar fills while it reads smtpd.conf; the loader makes a Configuration of it. */
export interface PolicyDraft {
  readonly grammar: Grammar
  readonly reader: TokenReader
  readonly read: ReadText
  /** Folders with the programs of tables. */
  readonly libexec: readonly string[]
  readonly names: Names
  readonly files: NamedFile[]
  readonly listeners: Listener[]
  socket: SocketListener | undefined
  readonly pkis: Map<string, PkiDraft>
  readonly cas: Map<string, string>
  readonly tables: Map<string, Table>
  /** List or map, where it is known. */
  readonly tableKinds: WeakMap<Table, 'list' | 'map'>
  inlineTables: number
  /** Of procs, and of filters with a process of their own. */
  readonly processNames: Set<string>
  /** Commands of `mda wrapper`, by name. */
  readonly wrappers: Map<string, string>
  readonly actions: Map<string, Action>
  /** Old grammar: how many actions were written with the same words. */
  readonly sameActions: Map<string, number>
  readonly rules: Rule[]
  /** A `match` was there but had a fault: "no rules" would mislead. */
  faultyRules: boolean
  /** Where settings that count once were stated last. */
  readonly stated: Map<string, Span>
  readonly setBy: SetBy
  queueTtlMs: number
  maxMessageBytes: number
  maxRecipients: number
  maxMailsPerSession: number
  subAddressDelimiter: string
  bounceWarnMs: readonly number[]
  admd: string | undefined
  ciphers: string | undefined
  limits: Limits
  /** Those of `limits`, to be added to. */
  readonly mtaDomains: Map<string, MtaDomain>
  srsKey: string | undefined
  srsBackupKey: string | undefined
  srsTtlDays: number
  queueCompression: boolean
  /** Where `queue encryption` stands. */
  queueEncryption: Span | undefined
  queueKey: string | undefined
}

/** Of `srs ttl`, where it is not written. */
export const usualSrsTtlDays = 4

type MtaDomain = Limits['mtaDomains'] extends ReadonlyMap<string, infer Own> ? Own : never

export function newPolicyDraft(
  reader: TokenReader,
  read: ReadText,
  grammar: Grammar,
  libexec = defaultLibexec,
): PolicyDraft {
  const mtaDomains = new Map<string, MtaDomain>()
  return {
    grammar,
    reader,
    read,
    libexec,
    names: new Names(reader),
    files: [],
    listeners: [],
    socket: undefined,
    pkis: new Map(),
    cas: new Map(),
    tables: new Map(),
    tableKinds: new WeakMap(),
    inlineTables: 0,
    processNames: new Set(),
    wrappers: new Map(),
    actions: new Map(),
    sameActions: new Map(),
    rules: [],
    faultyRules: false,
    stated: new Map(),
    setBy: new Map(),
    queueTtlMs: 4 * 86_400_000,
    maxMessageBytes: 35 * 1024 * 1024,
    maxRecipients: 1000,
    maxMailsPerSession: 100,
    subAddressDelimiter: '+',
    bounceWarnMs: [4 * 3_600_000],
    admd: undefined,
    ciphers: undefined,
    mtaDomains,
    limits: { mta: new Map(), mtaDomains, mda: new Map(), scheduler: new Map() },
    srsKey: undefined,
    srsBackupKey: undefined,
    srsTtlDays: usualSrsTtlDays,
    queueCompression: false,
    queueEncryption: undefined,
    queueKey: undefined,
  }
}

/** A backup key alone would only decode: `srs` needs the first one. */
export function completeSrs({ srsKey, srsBackupKey, srsTtlDays }: PolicyDraft): SrsSettings | undefined {
  if (srsKey === undefined) return undefined
  return { key: srsKey, ...(srsBackupKey === undefined ? {} : { backupKey: srsBackupKey }), ttlDays: srsTtlDays }
}

/** The pkis that have both files. */
export function completePkis(draft: PolicyDraft): ReadonlyMap<string, Pki> {
  const complete = new Map<string, Pki>()
  for (const [name, { cert, key, dhe = 'none', at }] of draft.pkis) {
    if (cert !== undefined && key !== undefined) complete.set(name, { name, cert, key, dhe, at })
  }
  return complete
}

/** Behind so many faults nobody reads what each word may have been meant to be; thousands of names take long to compare. */
const maximumGuesses = 100

/** Declarations and uses of names. A statement with a fault still declares its name, so that one fault is one message. */
export class Names {
  readonly #reader: TokenReader
  readonly #declared: Map<NameKind, Map<string, Position>>
  readonly #missing: { readonly kind: NameKind; readonly name: string; readonly index: number }[] = []

  constructor(reader: TokenReader, declared = new Map<NameKind, Map<string, Position>>()) {
    this.#reader = reader
    this.#declared = declared
  }

  /** The same names for another file. */
  seenBy(reader: TokenReader): Names {
    return new Names(reader, this.#declared)
  }

  has(kind: NameKind, name: string): boolean {
    return this.#of(kind).has(name)
  }

  /** Refuses a second declaration. */
  declare(kind: NameKind, name: Token): void {
    const known = this.#of(kind).get(name.text)
    if (known !== undefined) {
      this.#reader.fail(
        'duplicate',
        `${article(kind)} "${name.text}" is declared already`,
        name.span,
        `the other is in ${known.file}, line ${known.line}`,
      )
    }
    this.#of(kind).set(name.text, positionOf(name))
  }

  /** Declares what may be stated in several statements. */
  touch(kind: NameKind, name: Token): void {
    if (!this.has(kind, name.text)) this.#of(kind).set(name.text, positionOf(name))
  }

  /** Records that a name is not there; true when it is. */
  require(kind: NameKind, name: Token, span: Span = name.span): boolean {
    if (this.has(kind, name.text)) return true
    const meant = this.#missing.length < maximumGuesses ? closest(name.text, this.#of(kind).keys()) : undefined
    const hint = meant === undefined ? `declare it before: ${example(kind, name.text)}` : `did you mean "${meant}"?`
    this.#reader.report('unknown-name', `there is no ${kind} "${name.text}"`, span, hint)
    this.#missing.push({ kind, name: name.text, index: this.#reader.lexer.diagnostics.length - 1 })
    return false
  }

  /** At the end of the file: names that were used above their declaration get the fitting hint. */
  resolveLate(): void {
    const { diagnostics } = this.#reader.lexer
    for (const { kind, name, index } of this.#missing) {
      const found = this.#of(kind).get(name)
      const diagnostic = diagnostics[index]
      if (found === undefined || diagnostic === undefined) continue
      const hint = `it is declared in line ${found.line}: move that statement above this one`
      diagnostics[index] = { ...diagnostic, hint }
    }
  }

  #of(kind: NameKind): Map<string, Position> {
    const names = this.#declared.get(kind) ?? new Map<string, Position>()
    this.#declared.set(kind, names)
    return names
  }
}

function article(kind: NameKind): string {
  return kind === 'action' ? 'an action' : `a ${kind}`
}

function example(kind: NameKind, name: string): string {
  switch (kind) {
    case 'table':
      return `table "${name}" file:/path`
    case 'action':
      return `action "${name}" relay`
    case 'pki':
      return `pki ${name} cert "/path.crt" key "/path.key"`
    case 'ca':
      return `ca ${name} cert "/path.crt"`
    case 'filter':
      return `filter "${name}" ...`
    case 'proc':
      return `proc "${name}" "command"`
    case 'wrapper':
      return `mda wrapper "${name}" "command"`
  }
}
