import { isDomain } from '../mail/address.ts'
import type { CanonicalRule, MasqueradeSettings, RewritingSettings, RewrittenClients } from './model.ts'
import { choiceOf, finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { parseTables } from './table-grammar.ts'
import type { TokenReader } from './token-reader.ts'

/** How addresses are written anew when mail comes in. */
export const rewritingStatements: Readonly<Record<string, ParseStatement>> = {
  canonical: parseCanonical,
  masquerade: parseMasquerade,
  'append-domain': parseAppendDomain,
  'complete-addresses': parseCompleteAddresses,
}

const classes = ['sender', 'recipient', 'both'] as const
const places = ['envelope', 'headers', 'both'] as const

/** `canonical sender|recipient|both <table> [envelope|headers|both] [for any|local]`; statements add up. */
function parseCanonical(draft: PipelineDraft): void {
  const { reader, settings } = draft
  reader.next()
  const of = choiceOf(reader, classes, 'whose addresses')
  const table = parseTables(draft.policy, 'map', '"canonical"')
  const place = places.some((one) => reader.at(one)) ? choiceOf(reader, places, 'where') : 'both'
  const rule: CanonicalRule = { of, table, in: place, clients: clientsOf(reader) }
  change(draft, { canonical: [...settings.rewriting.canonical, rule] })
}

/** `masquerade domains "!info.example.org" "example.org" [except users <table>] [for any|local]`. */
function parseMasquerade(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('domains', 'behind "masquerade"')
  const domains: MasqueradeSettings['domains'][number][] = []
  do {
    const hide = !reader.accept('!')
    const { text, span } = reader.string('a domain')
    const name = text.replace(/^!/, '').toLowerCase()
    if (!isDomain(name) || name.startsWith('['))
      reader.fail(
        'value',
        `"${text}" is not a domain`,
        span,
        '"example.org", or "!info.example.org" for one that stays',
      )
    domains.push({ name, hide: hide && !text.startsWith('!') })
    reader.accept(',')
  } while (!reader.atEnd() && !reader.at('except') && !reader.at('for'))
  change(draft, { masquerade: { domains, ...exceptionsOf(draft), clients: clientsOf(reader) } })
}

function exceptionsOf(draft: PipelineDraft): Pick<MasqueradeSettings, 'except'> {
  if (!draft.reader.accept('except')) return {}
  draft.reader.expect('users', 'behind "except"')
  return { except: parseTables(draft.policy, 'list', '"except users"') }
}

function clientsOf(reader: TokenReader): RewrittenClients {
  return reader.accept('for') ? choiceOf(reader, ['any', 'local'] as const, 'whose header fields') : 'local'
}

/** `append-domain "example.org"`. */
function parseAppendDomain(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const { text, span } = reader.string('a domain')
  if (!isDomain(text) || text.startsWith('[')) reader.fail('value', `"${text}" is not a domain`, span, '"example.org"')
  change(draft, { appendDomain: text.toLowerCase() })
}

/** `complete-addresses on|off`. */
function parseCompleteAddresses(draft: PipelineDraft): void {
  draft.reader.next()
  change(draft, { completeAddresses: choiceOf(draft.reader, ['on', 'off'] as const, 'on or off') === 'on' })
}

function change(draft: PipelineDraft, changed: Partial<RewritingSettings>): void {
  finish(draft, { rewriting: { ...draft.settings.rewriting, ...changed } })
}
