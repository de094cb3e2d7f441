import type { Token } from './lexer.ts'
import type { Filter, FilterCondition, FilterDecision, FilterPhase, FilterProcess } from './model.ts'
import { Once } from './once.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { parseExpressions, parseNames, parseTables } from './table-grammar.ts'
import { positionOf, type TokenReader } from './token-reader.ts'

const kinds = ['phase', 'proc', 'proc-exec', 'chain']
const processOptions = ['user', 'group', 'chroot'] as const
const everywhere: readonly FilterCondition['kind'][] = ['fcrdns', 'rdns', 'src']

/** Conditions a phase knows (section 9.1). */
const phases: Readonly<Record<FilterPhase, readonly FilterCondition['kind'][]>> = {
  connect: everywhere,
  helo: [...everywhere, 'helo'],
  ehlo: [...everywhere, 'helo'],
  auth: [...everywhere, 'helo', 'auth'],
  'mail-from': [...everywhere, 'helo', 'auth', 'mail-from'],
  'rcpt-to': [...everywhere, 'helo', 'auth', 'mail-from', 'rcpt-to'],
  data: [...everywhere, 'helo', 'auth', 'mail-from'],
  commit: [...everywhere, 'helo', 'auth', 'mail-from'],
}
const anyCondition = phases['rcpt-to']

const decisions: readonly FilterDecision['kind'][] = ['reject', 'disconnect', 'rewrite', 'report', 'junk', 'bypass']
/** The message is complete: too late to mark it. */
const decisionsAtCommit = decisions.slice(0, 4)
/** Phases whose command has an argument. */
const rewritable: readonly FilterPhase[] = ['helo', 'ehlo', 'mail-from', 'rcpt-to']

/** What one name stands for: a filter, or those of a chain in turn. */
interface Declared {
  readonly chain: boolean
  readonly filters: readonly Filter[]
}

interface Declarations {
  readonly filters: Map<string, Declared>
  readonly processes: Map<string, FilterProcess>
}

const declarations = new WeakMap<PolicyDraft, Declarations>()

/** `filter NAME ...`. */
export function parseFilter(draft: PolicyDraft): void {
  const { reader } = draft
  const start = reader.next()
  const name = reader.string('the name of the filter')
  draft.names.declare('filter', name)
  const declared = parseFilterKind(draft, start, name)
  if (declared !== undefined) declarationsOf(draft).filters.set(name.text, declared)
  reader.endOfStatement()
}

/** `proc NAME COMMAND options`. */
export function parseProc(draft: PolicyDraft): void {
  const { reader } = draft
  const start = reader.next()
  const name = reader.string('the name of the process')
  const filter = declarationsOf(draft).filters.get(name.text)?.filters[0]
  if (filter?.kind === 'process' && filter.process.name === name.text) {
    const hint = `\`filter "${name.text}" proc-exec\` made it in line ${filter.at.line}: take another name`
    reader.fail('duplicate', `there is a process "${name.text}" already`, name.span, hint)
  }
  draft.names.declare('proc', name)
  declarationsOf(draft).processes.set(name.text, parseProcess(draft, start, name.text))
  reader.endOfStatement()
}

/** The filters that an option names, in the order they are asked; what is missing has been told. */
export function requireFilters(draft: PolicyDraft): readonly Filter[] {
  const { reader } = draft
  if (reader.at('{')) return chainOf(draft, parseNames(reader, 'the name of a filter'))
  const name = reader.string('the name of a filter')
  draft.names.require('filter', name)
  return filtersNamed(draft, name.text)
}

/** The filter of that name, or those of the chain. */
export function filtersNamed(draft: PolicyDraft, name: string): readonly Filter[] {
  return declarationsOf(draft).filters.get(name)?.filters ?? []
}

function declarationsOf(draft: PolicyDraft): Declarations {
  const known = declarations.get(draft)
  if (known !== undefined) return known
  const made: Declarations = { filters: new Map(), processes: new Map() }
  declarations.set(draft, made)
  return made
}

function parseFilterKind(draft: PolicyDraft, start: Token, name: Token): Declared | undefined {
  const { reader } = draft
  const one = { name: name.text, at: positionOf(start) }
  if (reader.accept('phase')) return { chain: false, filters: [{ kind: 'builtin', ...one, ...parsePhase(draft) }] }
  if (reader.accept('chain')) {
    const names = parseNames(reader, 'the name of a filter')
    const itself = names.find(({ text }) => text === name.text)
    if (itself !== undefined) reader.fail('conflict', 'a chain cannot hold itself', itself.span, 'name other filters')
    return { chain: true, filters: chainOf(draft, names) }
  }
  if (reader.accept('proc-exec')) {
    const process = parseProcess(draft, start, name.text)
    return { chain: false, filters: [{ kind: 'process', ...one, process }] }
  }
  if (!reader.accept('proc')) reader.unexpected('what the filter is', kinds)
  const named = reader.string('the name of a proc')
  const process = draft.names.require('proc', named) ? declarationsOf(draft).processes.get(named.text) : undefined
  return process === undefined ? undefined : { chain: false, filters: [{ kind: 'process', ...one, process }] }
}

/** Upstream means to refuse one process twice in a chain, and does not: its answers would be taken for each other's. */
function chainOf(draft: PolicyDraft, names: readonly Token[]): readonly Filter[] {
  const { reader } = draft
  const seen = new Set<string>()
  const processes = new Set<FilterProcess>()
  const chain: Filter[] = []
  for (const { text, span } of names.filter((name) => draft.names.require('filter', name))) {
    const declared = declarationsOf(draft).filters.get(text)
    const process = declared?.filters.map((filter) => (filter.kind === 'process' ? filter.process : undefined))[0]
    if (seen.has(text)) reader.report('duplicate', `the filter "${text}" is in the chain twice`, span)
    else if (declared?.chain === true) {
      const hint = 'name its filters here instead'
      reader.report('conflict', `"${text}" is a chain: a chain cannot hold another`, span, hint)
    } else if (process !== undefined && processes.has(process)) {
      reader.report('duplicate', `the process "${process.name}" of the filter "${text}" is in the chain twice`, span)
    } else chain.push(...(declared?.filters ?? []))
    seen.add(text)
    if (process !== undefined) processes.add(process)
  }
  return chain
}

function parsePhase(draft: PolicyDraft): {
  readonly phase: FilterPhase
  readonly condition: FilterCondition
  readonly decision: FilterDecision
} {
  const { reader } = draft
  const token = reader.peek()
  const phase = keywordOf(token, Object.keys(phases) as FilterPhase[])
  if (phase === undefined) return reader.unexpected('a phase', Object.keys(phases))
  reader.next()
  reader.expect('match', 'behind the phase')
  const not = reader.accept('!')
  const condition = parseFilterCondition(draft, phases[phase], not)
  return { phase, condition, decision: parseDecision(reader, phase) }
}

function parseFilterCondition(
  draft: PolicyDraft,
  allowed: readonly FilterCondition['kind'][],
  not: boolean,
): FilterCondition {
  const { reader } = draft
  const kind = keywordOf(reader.peek(), allowed)
  if (kind === undefined) return reader.unexpected('a condition of this phase', allowed)
  reader.next()
  if (kind === 'fcrdns') return { kind, not, regex: false }
  if (reader.accept('regex')) return { kind, not, regex: true, table: parseExpressions(draft, `"${kind}"`, 'either') }
  const mayStandAlone = kind === 'rdns' || kind === 'auth'
  if (mayStandAlone && !reader.atString() && !reader.at('<') && !reader.at('{')) return { kind, not, regex: false }
  return { kind, not, regex: false, table: parseTables(draft, 'either', `"${kind}"`) }
}

function parseDecision(reader: TokenReader, phase: FilterPhase): FilterDecision {
  const token = reader.peek()
  if (reader.at('!') || keywordOf(token, anyCondition) !== undefined) {
    const hint = 'declare a filter for each and chain them: `filter "all" chain { "one", "other" }`'
    reader.fail('syntax', 'a filter has one condition', token.span, hint)
  }
  const possible = phase === 'commit' ? decisionsAtCommit : decisions
  const kind = keywordOf(token, possible)
  if (kind === undefined) return reader.unexpected('a decision', possible)
  reader.next()
  if (kind === 'junk' || kind === 'bypass') return { kind }
  const text = reader.string(`the text of "${kind}"`)
  if (kind === 'report') return { kind, text: text.text }
  if (kind === 'rewrite') {
    if (!rewritable.includes(phase)) {
      const hint = `rewrite is for the phases ${rewritable.join(', ')}`
      reader.warn('value', `the command of the phase "${phase}" has no argument to rewrite`, token.span, hint)
    }
    return { kind, value: text.text }
  }
  if (!/^[45]\d\d(?: |$)/.test(text.text)) {
    reader.report('value', 'the reply needs a code 4xx or 5xx', text.span, `write "550 ${text.text}"`)
  }
  return { kind, text: text.text }
}

function keywordOf<Word extends string>(token: Token, words: readonly Word[]): Word | undefined {
  return token.kind === 'keyword' ? words.find((word) => word === token.text) : undefined
}

function parseProcess(draft: PolicyDraft, start: Token, name: string): FilterProcess {
  const { reader } = draft
  const command = reader.string('a command')
  const once = new Once(reader)
  let runAs: Pick<FilterProcess, (typeof processOptions)[number]> = {}
  while (!reader.atEnd()) {
    const option = reader.peek()
    const word = keywordOf(option, processOptions)
    if (word === undefined) return reader.unexpected('an option of the process', processOptions)
    reader.next()
    once.check(option)
    runAs = { ...runAs, [word]: reader.string(`the value of "${word}"`).text }
  }
  draft.processNames.add(name)
  return { name, command: command.text, ...runAs, at: positionOf(start) }
}
