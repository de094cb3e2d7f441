import { parseApiToken } from './api-tokens.ts'
import { isLoopback } from './loopback.ts'
import type { Span } from './diagnostic.ts'
import type { DashboardSettings, Table } from './model.ts'
import { parseOperator } from './operators.ts'
import { finish, listenOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { parseTables } from './table-grammar.ts'
import { parseTableText } from './table-text.ts'
import { spanOf } from './token-reader.ts'
import type { TokenReader } from './token-reader.ts'

/** The dashboard and the metrics: where they listen, who may see and do what. */
export const dashboardStatements: Readonly<Record<string, ParseStatement>> = {
  dashboard: parseDashboard,
  metrics: parseMetrics,
}

/** `dashboard listen "host:port" [auth <operators>] [tokens <tokens>] [url "https://..."] [read-only]`: without `auth` only this host may reach it. */
function parseDashboard(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const place = reader.peek(1)
  let dashboard: DashboardSettings = { ...listenOf(reader), readOnly: false }
  while (!reader.atEnd()) {
    if (reader.at('auth') && dashboard.operators === undefined)
      dashboard = { ...dashboard, operators: parseWho(draft, operatorTable) }
    else if (reader.at('tokens') && dashboard.tokens === undefined)
      dashboard = { ...dashboard, tokens: parseWho(draft, tokenTable) }
    else if (dashboard.url === undefined && reader.accept('url')) dashboard = { ...dashboard, url: urlOf(reader) }
    else if (!dashboard.readOnly && reader.accept('read-only')) dashboard = { ...dashboard, readOnly: true }
    else reader.unexpected('auth, tokens, url or read-only', ['auth', 'tokens', 'url', 'read-only'])
  }
  if (dashboard.operators === undefined && !isLoopback(dashboard.host)) {
    reader.report(
      'incomplete',
      'without `auth` everybody who reaches the dashboard could read who writes to whom',
      place.span,
      `name who may sign in: dashboard listen "${place.text}" auth <operators>; or let it listen on 127.0.0.1`,
    )
  }
  finish(draft, { dashboard })
}

/** A web address without what belongs to one page. */
function urlOf(reader: TokenReader): string {
  const given = reader.string('where readers reach the dashboard')
  const url = URL.canParse(given.text) ? new URL(given.text) : undefined
  const isPlain = url !== undefined && url.username + url.password + url.search + url.hash === ''
  if (!isPlain || !/^https?:$/.test(url.protocol))
    return reader.fail(
      'value',
      `"${given.text}" is no address of a web server`,
      given.span,
      '"https://mail.example.org"',
    )
  return url.href.replace(/\/+$/, '')
}

/** What the values of a table must be. */
interface TableOfWho {
  isValue(value: string): boolean
  readonly wrong: string
  readonly hint: string
}

const operatorTable: TableOfWho = {
  isValue: (value) => parseOperator(value) !== undefined,
  wrong: 'has neither a password hash nor a role and a hash',
  hint: 'the hash that `sluicectl encrypt` prints, or reader:HASH, operator:HASH, admin:HASH',
}

const tokenTable: TableOfWho = {
  isValue: (value) => parseApiToken(value) !== undefined,
  wrong: 'has no scopes and digest',
  hint: 'the line that `sluicectl token NAME` prints: NAME read:DIGEST',
}

function parseWho(draft: PipelineDraft, who: TableOfWho): Table {
  const { reader, policy } = draft
  const word = reader.next()
  const first = reader.peek()
  const table = parseTables(policy, 'map', `"${word.text}"`)
  checkEntries(policy, table, who, spanOf(first, reader.last))
  return table
}

/** What stands in the table now; what comes into a file later is looked at when somebody signs in. */
function checkEntries(draft: PolicyDraft, table: Table, who: TableOfWho, span: Span): void {
  for (const [name, value] of entriesOf(draft, table)) {
    if (!who.isValue(value)) draft.reader.report('value', `"${name}" ${who.wrong}`, span, who.hint)
  }
}

/** A file that cannot be read was told at its declaration. */
function entriesOf(draft: PolicyDraft, { source }: Table): Iterable<readonly [string, string]> {
  if (source.kind === 'inline') return source.map ?? []
  if (source.kind !== 'file') return []
  try {
    const text = draft.read(source.path)
    const content = parseTableText(text, source.format)
    const entries = content.kind === 'map' ? [...content.map] : []
    return source.format === 'passwd' ? entries.map(([name, rest]) => [name, rest.split(':')[0] ?? '']) : entries
  } catch {
    return []
  }
}

/** `metrics listen "host:port"`. */
function parseMetrics(draft: PipelineDraft): void {
  draft.reader.next()
  finish(draft, { metrics: listenOf(draft.reader) })
}
