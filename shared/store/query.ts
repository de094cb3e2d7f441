import { isMessageId } from '../mail/message-id.ts'
import { copyStates, openStates } from './copy-state.ts'
import type { CopyState } from './copy-state.ts'

/** One thing that is asked of a message. */
export interface Term {
  readonly field: Field
  /** Any of them will do. */
  readonly values: readonly string[]
  /** Written with `-`: messages of which it holds are left out. */
  readonly isNegated: boolean
}

export interface Query {
  /** All must hold; those about a copy hold of the same one. */
  readonly terms: readonly Term[]
  /** Accepted at that time or later, epoch ms. */
  readonly after?: number
  /** Accepted before that. */
  readonly before?: number
}

export type Field = (typeof fields)[number]

const fields = [
  'id',
  'message-id',
  'from',
  'to',
  /** Of the sender or a recipient. */
  'address',
  'domain',
  'tag',
  'queue',
  'status',
  'rule',
  'client',
  'user',
  'listener',
  'class',
  'text',
  'subject',
] as const

/** What else people write. */
const otherNames: ReadonlyMap<string, Field> = new Map([
  ['msgid', 'message-id'],
  ['messageid', 'message-id'],
  ['sender', 'from'],
  ['recipient', 'to'],
  ['rcpt', 'to'],
  ['stage', 'queue'],
  ['state', 'status'],
  ['ip', 'client'],
  ['reply', 'text'],
  ['remote', 'text'],
])

/** The query cannot be understood; the text says what to write instead. */
export class QueryError extends Error {
  override readonly name = 'QueryError'
}

const mostTerms = 20
const mostValues = 20
const mostLength = 1_000

/** `open` is everything that has no final outcome. */
export const statusWords: readonly string[] = [...copyStates, 'open', 'bounced']

/** In one line, for those who search. */
export const queryExample = 'to:jane@example.org status:failed after:2d "mailbox full"'

/**
 * Reads `to:jane@example.org status:failed,delayed after:2026-11-20 -tag:Spam "mailbox full"`. A word alone is an id, a Message-ID in
 * angle brackets, a time (`today`, `-2h`, `2026-11-20..2026-11-21`), an address of either side, or text that a remote host said. Times are
 * UTC.
 * @throws QueryError
 */
export function parseQuery(text: string, nowAt: number): Query {
  if (text.length > mostLength) throw new QueryError(`the query is longer than ${mostLength} characters`)
  // PostgreSQL takes no text with a NUL, and what is stored has none of the others.
  if (/[\u0000-\u0008\u000e-\u001f\u007f]/.test(text)) throw new QueryError('the query has a control character')
  const terms: Term[] = []
  const range: { after?: number; before?: number } = {}
  for (const word of wordsOf(text)) {
    if (word.name === 'after' || word.name === 'before') {
      if (word.isNegated)
        throw new QueryError(`'-${word.name}:' says nothing: use ${word.name === 'after' ? 'before' : 'after'}:`)
      range[word.name] = parseTime(word.name, word.values, nowAt)
    } else if (isTime(word)) narrow(range, parsePeriod(word, nowAt))
    else terms.push(termOf(word))
  }
  if (terms.length > mostTerms) throw new QueryError(`the query has more than ${mostTerms} terms`)
  const { after, before } = range
  if (after !== undefined && before !== undefined && after >= before)
    throw new QueryError('nothing lies after the one time and before the other: swap them')
  return { terms, ...range }
}

/** A word of the query before it is understood. */
interface Word {
  /** Absent: it stands alone. */
  readonly name?: string
  readonly values: readonly string[]
  readonly isNegated: boolean
  readonly isQuoted: boolean
}

const wordPattern = /\s*(-(?!\d{1,5}[mhdw](?:\s|$)))?(?:([a-zA-Z][a-zA-Z-]*):)?(?:"([^"]*)("?)|([^\s"]*))/y

function wordsOf(text: string): readonly Word[] {
  const words: Word[] = []
  const pattern = new RegExp(wordPattern)
  while (text.slice(pattern.lastIndex).trim() !== '') {
    const [whole = '', minus, name, quoted, end, plain = ''] = pattern.exec(text) ?? []
    if (quoted !== undefined && end === '')
      throw new QueryError(`the quotation that begins with "${quoted.slice(0, 20)} has no end: write " behind it`)
    const isQuoted = quoted !== undefined
    const values = isQuoted ? [quoted] : plain.split(',')
    const found = values.map((one) => one.trim()).filter((one) => one !== '')
    if (found.length === 0) throw new QueryError(emptyText(whole.trim(), name))
    if (found.length > mostValues) throw new QueryError(`'${name ?? ''}:' names more than ${mostValues} values`)
    words.push({
      ...(name === undefined ? {} : { name: name.toLowerCase() }),
      values: found,
      isNegated: minus !== undefined,
      isQuoted,
    })
  }
  return words
}

function emptyText(word: string, name: string | undefined): string {
  if (name === undefined) return `'${word}' is not a word to look for`
  return `'${name}:' has no value: write it directly behind the colon, like ${name}:VALUE`
}

function termOf({ name, values, isNegated, isQuoted }: Word): Term {
  const field = name === undefined ? (isQuoted ? 'text' : fieldAlone(values)) : fieldNamed(name)
  switch (field) {
    case 'id':
      return { field, values: values.map(checkedId), isNegated }
    case 'message-id':
      return { field, values: values.map(inBrackets), isNegated }
    case 'status':
      return { field, values: values.flatMap(statusesOf), isNegated }
    case 'text':
    case 'subject':
      return { field, values: values.map(checkedText), isNegated }
    case 'from':
    case 'to':
    case 'address':
    case 'domain':
    case 'tag':
    case 'queue':
    case 'rule':
    case 'client':
    case 'user':
    case 'listener':
    case 'class':
      return { field, values, isNegated }
  }
}

/** Of a word that stands alone. */
function fieldAlone(values: readonly string[]): Field {
  if (values.every((value) => isMessageId(value.toLowerCase()))) return 'id'
  if (values.every((value) => /^<.+@.+>$/.test(value))) return 'message-id'
  return values.every((value) => value.includes('@')) ? 'address' : 'text'
}

function fieldNamed(name: string): Field {
  const field = fields.find((one) => one === name) ?? otherNames.get(name)
  if (field !== undefined) return field
  const known = [...fields.filter((one) => one !== 'address'), 'time', 'after', 'before'].join(', ')
  throw new QueryError(`'${name}:' is not known: use ${known}; text with a colon goes in quotation marks`)
}

function checkedId(value: string): string {
  const id = value.toLowerCase()
  if (isMessageId(id)) return id
  throw new QueryError(
    `'${value}' is not an id: 18 characters, as the 250 reply ends with; a Message-ID field is found by message-id:`,
  )
}

function inBrackets(value: string): string {
  return value.startsWith('<') ? value : `<${value}>`
}

function statusesOf(value: string): readonly CopyState[] {
  const word = value.toLowerCase()
  if (word === 'open') return openStates
  if (word === 'bounced') return ['failed']
  const state = copyStates.find((one) => one === word)
  if (state === undefined) throw new QueryError(`'${value}' is not a status: use ${statusWords.join(', ')}`)
  return [state]
}

function checkedText(value: string): string {
  if (textTokens(value).length > 0) return value
  throw new QueryError(`'${value}' has no letter or digit to look for`)
}

/** As the full-text index cuts them. */
export function textTokens(value: string): readonly string[] {
  return value.match(/[\p{L}\p{N}\p{Co}]+/gu) ?? []
}

interface Period {
  readonly after?: number
  readonly before?: number
}

/** `time:` and what stands alone: `today`, `-2h`, `2026-11-20`, `2026-11-20..2026-11-21`. */
function isTime({ name, values: [value = '', ...others], isQuoted }: Word): boolean {
  if (name !== undefined) return name === 'time' || name === 'on'
  return !isQuoted && others.length === 0 && periodPattern.test(value)
}

const periodPattern = /^(?:today|yesterday|-\d{1,5}[mhdw]|\d{4}-\d{2}-\d{2}|[\dT:.Z-]*\.\.[\dT:.Z-]*)$/i

/** All of a day that is named; of a range its last day, too. */
function parsePeriod({ name = '', values, isNegated }: Word, nowAt: number): Period {
  const [value = '', ...others] = values
  if (isNegated)
    throw new QueryError(`'-${name}${name === '' ? '' : ':'}${value}' leaves nothing out: use before: and after:`)
  if (others.length > 0) throw new QueryError(`'${name}:' takes one time, or two as 2026-11-20..2026-11-21`)
  const [from, to, more] = value.split('..')
  if (to === undefined) {
    const after = parseTime('time', [value], nowAt)
    return isDay(value) ? { after, before: after + dayMs } : { after }
  }
  if (more !== undefined || (from === '' && to === ''))
    throw new QueryError(`'${value}' is not a range of times: write 2026-11-20..2026-11-21`)
  const end = to === '' ? undefined : parseTime('time', [to], nowAt)
  return {
    ...(from === undefined || from === '' ? {} : { after: parseTime('time', [from], nowAt) }),
    ...(end === undefined ? {} : { before: isDay(to) ? end + dayMs : end }),
  }
}

function isDay(value: string): boolean {
  return /^(?:today|yesterday|\d{4}-\d{2}-\d{2})$/i.test(value)
}

/** Both hold. */
function narrow(range: { after?: number; before?: number }, { after, before }: Period): void {
  if (after !== undefined) range.after = Math.max(range.after ?? after, after)
  if (before !== undefined) range.before = Math.min(range.before ?? before, before)
}

const dayMs = 86_400_000
const agoUnits: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: dayMs, w: 7 * dayMs }

function parseTime(name: 'after' | 'before' | 'time', values: readonly string[], nowAt: number): number {
  const [value = '', ...others] = values
  if (others.length > 0) throw new QueryError(`'${name}:' takes one time`)
  const midnight = nowAt - (nowAt % dayMs)
  if (value.toLowerCase() === 'today') return midnight
  if (value.toLowerCase() === 'yesterday') return midnight - dayMs
  const [, count, unit = ''] = /^-?(\d{1,5})([mhdw])$/.exec(value) ?? []
  if (count !== undefined) return nowAt - Number(count) * (agoUnits[unit] ?? 0)
  const day = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)Z?)?$/.exec(value)
  const at = day === null ? Number.NaN : Date.parse(`${day[1]}T${day[2] ?? '00:00'}Z`)
  if (!Number.isNaN(at)) return at
  throw new QueryError(
    `'${value}' is not a time: write ${name}:2026-11-20, ${name}:2026-11-20T14:30 (UTC), ${name}:6h, ${name}:-2h or ${name}:today`,
  )
}
