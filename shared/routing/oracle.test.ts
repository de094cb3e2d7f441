import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Configuration } from '../config/model.ts'
import { convertToModern } from '../config/convert.ts'
import { renderMatches } from '../config/render-match.ts'
import { oracleRows, oracleText, parseText, withoutOracle } from '../config/oracle-fixture.ts'
import { defaultPipeline } from '../config/pipeline-grammar.ts'
import { completePkis, type PolicyDraft } from '../config/policy-draft.ts'
import { listOf } from '../config/table-grammar.ts'
import { openTables, type TableSet } from '../config/tables.ts'
import { parseTableFile } from '../config/table-file.ts'
import type { Table } from '../config/model.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Tag } from '../mail/tag.ts'
import { firstFailure } from './route.ts'
import type { RoutingContext } from './transaction.ts'

const skip = withoutOracle

interface CorpusFile {
  readonly file: string
  readonly grammar: string
  readonly made: Readonly<Record<string, string>>
  readonly match?: { readonly by: string } | string
}

test('the rule picked is the one upstream picks, for real files of the modern grammar', { skip }, (t) => {
  const corpus = JSON.parse(oracleText('corpus/manifest.json')) as readonly CorpusFile[]
  let files = 0
  let envelopes = 0
  for (const { file, grammar, made, match } of corpus) {
    if (grammar !== 'new' || typeof match !== 'object') continue
    const { draft } = parseText(oracleText(`corpus/${file}`), made)
    envelopes += judge(file, draft, made, `corpus/${file.replace('.conf', '.match.tsv')}`)
    files += 1
  }
  t.diagnostic(`${envelopes} envelopes of ${files} files`)
})

test('the rule picked is the one upstream picks, for real files of the old grammar', { skip }, (t) => {
  const corpus = JSON.parse(oracleText('corpus/manifest.json')) as readonly CorpusFile[]
  let files = 0
  let envelopes = 0
  for (const { file, grammar, made, match } of corpus) {
    if (grammar !== 'old' || typeof match !== 'object') continue
    const { draft } = parseText(oracleText(`corpus/${file}`), made, { grammar: 'old' })
    envelopes += judge(file, draft, made, `corpus/${file.replace('.conf', '.match.tsv')}`)
    files += 1
  }
  t.diagnostic(`${envelopes} envelopes of ${files} files`)
})

test('the configuration this project began with picks the rules that 6.0.3p1 picks', { skip }, (t) => {
  const made = { '/etc/aliases': 'root: joe\n' }
  const { draft } = parseText(oracleText('seed.smtpd.conf'), made, { grammar: 'old' })
  const envelopes = judge('seed.smtpd.conf', draft, made, 'vectors/seed.match.tsv')
  t.diagnostic(`${envelopes} envelopes`)
})

test('a converted file routes as the old one did', { skip }, (t) => {
  const corpus = JSON.parse(oracleText('corpus/manifest.json')) as readonly CorpusFile[]
  let envelopes = 0
  for (const { file, grammar, made, match } of corpus) {
    if (grammar !== 'old' || typeof match !== 'object') continue
    envelopes += judgeConverted(`corpus/${file}`, made, `corpus/${file.replace('.conf', '.match.tsv')}`)
  }
  envelopes += judgeConverted('seed.smtpd.conf', { '/etc/aliases': 'root: joe\n' }, 'vectors/seed.match.tsv')
  t.diagnostic(`${envelopes} envelopes`)
})

test(
  'our translation and the one made by hand differ in authenticated sessions on tagged listeners only',
  { skip },
  () => {
    const { draft } = parseText(oracleText('seed.modern.conf'), { '/etc/aliases': 'root: joe\n' })
    const same = new Map([['5', '4']])
    const asked = (row: readonly string[]): boolean => row[0] === '' || row[7] !== 'A'
    judge('seed.modern.conf', draft, {}, 'vectors/seed.match.tsv', { asked, same })
  },
)

/** Tags have no case any more. */
function differsInCase(tag: string, { rules }: PolicyDraft): boolean {
  const stated = rules.flatMap(({ conditions }) =>
    conditions.flatMap((one) => (one.kind === 'tag' && one.table !== undefined ? listOf(one.table) : [])),
  )
  return stated.some((one) => one !== tag && one.toLowerCase() === tag.toLowerCase())
}

/** Several new rules stand for one old rule. */
function judgeConverted(file: string, made: Readonly<Record<string, string>>, vectors: string): number {
  const old = parseText(oracleText(file), made, { grammar: 'old' })
  const read = (path: string): string => (path === file ? oracleText(file) : (made[path] ?? ''))
  const { draft, diagnostics } = parseText(convertToModern(file, { read }).text, made)
  const errors = diagnostics.filter(({ severity, code }) => severity === 'error' && code !== 'unsupported')
  assert.deepEqual(
    errors.map((one) => one.message),
    [],
    file,
  )
  const numbers = old.draft.rules.flatMap(({ conditions }, index) =>
    renderMatches(conditions).map(() => String(index + 1)),
  )
  const same = new Map(numbers.map((number, index) => [String(index + 1), number]))
  return judge(file, draft, made, vectors, { same, asked: (row) => !differsInCase(row[0] ?? '', old.draft) })
}

/**
 * Left out: messages made here that have a client name, which ours never have. Otherwise on purpose: `from rdns <T>` is a domain
 * match here and plain equality upstream, so rule 3 of the file may match where upstream goes on.
 */
test('the rule picked is the one upstream picks, for every kind of condition', { skip }, (t) => {
  const { draft } = parseText(oracleText('sink.conf'))
  const asked = (row: readonly string[]): boolean => row[1] !== 'local' || row[2] === ''
  const count = judge('sink.conf', draft, {}, 'vectors/sink.dev.match.tsv', { asked, wildcard: '3' })
  t.diagnostic(`${count} envelopes`)
})

interface Differences {
  readonly asked?: (row: readonly string[]) => boolean
  /** A rule whose table of client names has wildcards. */
  readonly wildcard?: string
  /** The rule of the oracle's file that a rule of ours stands for. */
  readonly same?: ReadonlyMap<string, string>
}

function judge(
  file: string,
  draft: PolicyDraft,
  made: Readonly<Record<string, string>>,
  vectors: string,
  { asked = () => true, wildcard, same }: Differences = {},
): number {
  const configuration = configurationOf(draft)
  const tables = tablesOf(made)
  const rows = oracleRows(vectors).filter((row) => asked(row))
  const wrong: string[] = []
  for (const row of rows) {
    const [tag = '', src = '', rdns = '', helo = '', user = '', sender = '', rcpt = '', flags = '', expected] = row
    const context: RoutingContext = {
      configuration,
      tables,
      localAddresses: new Set(['127.0.0.1', '::1']),
      transaction: {
        peer: src === 'local' ? 'local' : { address: src, ...(rdns === '' ? {} : { rdns }) },
        helo,
        ...(user === '' ? {} : { user }),
        trusted: flags.includes('A'),
        tls: false,
        tags: tag === '' ? [] : [tag as Tag],
        reversePath: sender === '' ? null : (sender as Mailbox),
      },
    }
    const at = rcpt.lastIndexOf('@')
    const mailbox = (rcpt.slice(0, at) + rcpt.slice(at).toLowerCase()) as Mailbox
    const index = configuration.rules.findIndex((rule) => firstFailure(rule, context, mailbox) === undefined)
    const rule = String(index + 1)
    const picked = index < 0 ? 'none' : (same?.get(rule) ?? rule)
    if (picked === wildcard && rdns.endsWith('.dyn.net')) continue
    if (picked !== expected) wrong.push(`${picked} for ${row.join('|')}`)
  }
  assert.deepEqual(wrong.slice(0, 20), [], `${file}: ${wrong.length} of ${rows.length}`)
  return rows.length
}

function configurationOf(draft: PolicyDraft): Configuration {
  return {
    ...draft,
    revision: '',
    hostname: 'mail.example.org',
    authservId: '',
    atRest: { compression: false, encryption: false },
    socket: { maskSource: false, noDsn: false },
    pkis: completePkis(draft),
    ciphers: '',
    pipeline: defaultPipeline(),
  }
}

/** Tables whose files are given as text. */
function tablesOf(made: Readonly<Record<string, string>>): TableSet {
  const tables = openTables()
  const inline = new Map<Table, Table>()
  const given = (table: Table): Table => {
    if (table.source.kind !== 'file') return table
    const known = inline.get(table)
    if (known !== undefined) return known
    const content = parseTableFile(made[table.source.path] ?? '')
    const stated: Table =
      content.kind === 'list'
        ? { ...table, source: { kind: 'inline', list: content.list } }
        : { ...table, source: { kind: 'inline', map: content.map } }
    inline.set(table, stated)
    return stated
  }
  return {
    ...tables,
    matchesDomain: (table, host) => tables.matchesDomain(given(table), host),
    matchesAddress: (table, address) => tables.matchesAddress(given(table), address),
    matchesMailbox: (table, address) => tables.matchesMailbox(given(table), address),
    entries: (table) => tables.entries(given(table)),
    contains: (table, word) => tables.contains(given(table), word),
    matchesExpression: (table, subject) => tables.matchesExpression(given(table), subject),
  }
}
