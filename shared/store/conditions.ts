import { kindNumber, stateNumber } from './copy-state.ts'
import type { CopyState } from './copy-state.ts'
import { byDomain } from './database.ts'
import type { SqlValue } from './database.ts'
import { firstKeyOf, lastKeyOf } from './message-key.ts'
import { acceptedAtOf } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { textTokens } from './query.ts'
import type { Term } from './query.ts'

/** A piece of SQL and what it is given; nothing that was typed stands in the text. */
export interface Sql {
  readonly text: string
  readonly values: readonly SqlValue[]
}

/** What a term means for the rows: `m` is the message, `c` one of its copies. */
export interface Condition {
  readonly of: 'message' | 'copy'
  readonly where: Sql
  /** Where to look for messages that may be meant, each by an index; empty: no index knows. */
  readonly ways: readonly Way[]
  /** No row can be meant. */
  readonly isNever?: true
}

/** Rows `k` of one index. */
export interface Way {
  readonly from: string
  /** The column with the message's number. */
  readonly key: string
  readonly where: Sql
  /** The index gives them by their numbers. */
  readonly isSorted: boolean
}

/** Texts of the numbers that stand for rules, tags and the like. */
export type NameTexts = ReadonlyMap<number, string>

export function conditionOf(term: Term, names: NameTexts): Condition {
  const condition = plainCondition(term, names)
  if (!term.isNegated) return condition
  const { of, where } = condition
  const text =
    of === 'message'
      ? `NOT coalesce((${where.text}), 0)`
      : `NOT EXISTS (SELECT 1 FROM copies c WHERE c.message = m.message AND ${where.text})`
  return { of: 'message', where: { text, values: where.values }, ways: [] }
}

function plainCondition({ field, values }: Term, names: NameTexts): Condition {
  switch (field) {
    case 'id':
      return ids(values as readonly MessageId[])
    case 'message-id':
      return equal('message', 'header_id', values, 'messages k INDEXED BY messages_header_id')
    case 'from':
      return anyOf('message', values.map(fromWay))
    case 'to':
    case 'domain':
      return anyOf(
        'copy',
        values.map((value) => toWay(field === 'domain' && !value.includes('@') ? `@${value}` : value)),
      )
    case 'address':
      return eitherSide(values)
    case 'tag':
      return named('message', 'tags', namesWith(names, values, sameText), 'messages k INDEXED BY messages_tags')
    case 'queue':
      return named('copy', 'stage', namesWith(names, values, sameText))
    case 'status':
      return statuses(values as readonly CopyState[])
    case 'rule':
      return named('copy', 'rules', namesWith(names, values, isRule), 'copies k INDEXED BY copies_rules')
    case 'client':
      return equal('message', 'client', values, 'messages k INDEXED BY messages_client')
    case 'user':
      return equal('message', 'user', values, 'messages k INDEXED BY messages_user')
    case 'listener':
      return named('message', 'listener', namesWith(names, values, isListener))
    case 'class':
      return named('copy', 'class', namesWith(names, values, sameText), 'copies k INDEXED BY copies_class')
    case 'text':
      return texts(values)
  }
}

function ids(values: readonly MessageId[]): Condition {
  const byTime = values.map((id): Way => ({
    from: 'messages k',
    key: 'k.message',
    where: {
      text: 'k.message BETWEEN ? AND ? AND k.id = ?',
      values: [firstKeyOf(acceptedAtOf(id)), lastKeyOf(acceptedAtOf(id)), id],
    },
    isSorted: true,
  }))
  const later = values.map((id): Way => ({
    from: 'messages k INDEXED BY messages_later',
    key: 'k.message',
    where: { text: `k.kind = ${kindNumber('made')} AND k.id = ?`, values: [id] },
    isSorted: true,
  }))
  return { of: 'message', where: within('m.id', values), ways: [...byTime, ...later] }
}

interface OneOf {
  readonly where: Sql
  /** Absent: no index knows. */
  readonly way?: Way
}

function anyOf(of: Condition['of'], some: readonly OneOf[]): Condition {
  return { of, where: either(some.map(({ where }) => where)), ways: waysOf(some) }
}

/** All of them, or none: what one of them finds without an index is found by going through all. */
function waysOf(some: readonly OneOf[]): readonly Way[] {
  const ways = some.map(({ way }) => way).filter((way) => way !== undefined)
  return ways.length < some.length ? [] : ways
}

function fromWay(value: string): OneOf {
  if (value === '<>') {
    const where = (column: string): Sql => ({ text: `${column} = ''`, values: [] })
    const indexed = { text: `k.sender IS NOT NULL AND ${byDomain('k.sender')} = '@'`, values: [] }
    return { where: where('m.sender'), way: { ...sentBy, where: indexed, isSorted: true } }
  }
  return addressWay(value, 'm.sender', 'k.sender', sentBy)
}

function toWay(value: string): OneOf {
  return addressWay(value, 'c.address', 'k.address', sentTo)
}

function eitherSide(values: readonly string[]): Condition {
  const from = values.map(fromWay)
  const to = values.map(toWay)
  const received = either(to.map(({ where }) => where))
  const where = either([
    ...from.map((one) => one.where),
    {
      text: `EXISTS (SELECT 1 FROM copies c WHERE c.message = m.message AND ${received.text})`,
      values: received.values,
    },
  ])
  return { of: 'message', where, ways: waysOf([...from, ...to]) }
}

const sentBy = { from: 'messages k INDEXED BY messages_sender', key: 'k.message' } as const
const sentTo = { from: 'copies k INDEXED BY copies_address', key: 'k.message' } as const

/** `jane@example.org`, `@example.org` for all of the domain, `jane@` or `jane` for that name in any domain. */
function addressWay(value: string, column: string, indexed: string, place: Pick<Way, 'from' | 'key'>): OneOf {
  const at = value.lastIndexOf('@')
  const local = (at < 0 ? value : value.slice(0, at)).toLowerCase()
  const domain = at < 0 ? '' : value.slice(at + 1).toLowerCase()
  const present = place === sentBy ? 'k.sender IS NOT NULL AND ' : ''
  if (domain === '') return { where: { text: `${column} LIKE ? ESCAPE '\\'`, values: [`${escaped(local)}@%`] } }
  if (local !== '') {
    const values = [`${domain}@${local}`]
    return {
      where: { text: `${byDomain(column)} = ?`, values },
      way: { ...place, where: { text: `${present}${byDomain(indexed)} = ?`, values }, isSorted: true },
    }
  }
  const values = [`${domain}@`, `${domain}A`]
  const between = (name: string): string => `${byDomain(name)} >= ? AND ${byDomain(name)} < ?`
  return {
    where: { text: between(column), values },
    way: { ...place, where: { text: `${present}${between(indexed)}`, values }, isSorted: false },
  }
}

function statuses(values: readonly CopyState[]): Condition {
  const numbers = [...new Set(values.map(stateNumber))]
  const open: Way = {
    from: 'copies k INDEXED BY copies_open',
    key: 'k.message',
    where: { text: 'k.state < 3', values: [] },
    isSorted: true,
  }
  const ended = (state: number): Way => ({
    from: 'copies k INDEXED BY copies_ended',
    key: 'k.message',
    where: { text: `k.state > 4 AND k.state = ${state}`, values: [] },
    isSorted: true,
  })
  const isReached = numbers.some((state) => state === 3 || state === 4)
  const ways = [
    ...(numbers.some((state) => state < 3) ? [open] : []),
    ...numbers.filter((state) => state > 4).map(ended),
  ]
  return { of: 'copy', where: { text: `c.state IN (${numbers.join(', ')})`, values: [] }, ways: isReached ? [] : ways }
}

/** All words of it, and then the words side by side. */
function texts(values: readonly string[]): Condition {
  const ways = values.map((value): Way => {
    const match = textTokens(value).map((token) => `"${token}"`)
    return {
      from: 'remote k',
      key: 'k.rowid',
      where: { text: 'remote MATCH ?', values: [`${match.join(' ')} *`] },
      isSorted: true,
    }
  })
  const where = either(
    values.map((value) => ({ text: `c.remote LIKE ? ESCAPE '\\'`, values: [`%${escaped(value)}%`] })),
  )
  return { of: 'copy', where, ways }
}

function equal(of: Condition['of'], column: string, values: readonly string[], from?: string): Condition {
  const ways = values.map((value) => indexWay(column, value, from))
  return { of, where: within(`${of === 'copy' ? 'c' : 'm'}.${column}`, values), ways: ways.flat() }
}

function named(of: Condition['of'], column: string, numbers: readonly number[], from?: string): Condition {
  if (numbers.length === 0) return { of, where: { text: '0', values: [] }, ways: [], isNever: true }
  const ways = numbers.map((number) => indexWay(column, number, from))
  return { of, where: within(`${of === 'copy' ? 'c' : 'm'}.${column}`, numbers), ways: ways.flat() }
}

function indexWay(column: string, value: SqlValue, from: string | undefined): readonly Way[] {
  if (from === undefined) return []
  const where = { text: `k.${column} = ? AND k.${column} IS NOT NULL`, values: [value] }
  return [{ from, key: 'k.message', where, isSorted: true }]
}

/** Numbers of the texts that have, among the lines they consist of, one that is meant. */
function namesWith(
  names: NameTexts,
  values: readonly string[],
  isMeant: (line: string, value: string) => boolean,
): readonly number[] {
  return [...names]
    .filter(([, text]) => text.split('\n').some((line) => values.some((value) => isMeant(line, value))))
    .map(([name]) => name)
}

function sameText(line: string, value: string): boolean {
  return line.toLowerCase() === value.toLowerCase()
}

/** `/etc/smtpd.conf:44` is meant by `/etc/smtpd.conf:44`, `smtpd.conf:44` and `44`. */
function isRule(line: string, value: string): boolean {
  return line === value || line.endsWith(`/${value}`) || (/^\d+$/.test(value) && line.endsWith(`:${value}`))
}

/** `0.0.0.0:25` is meant by itself and by `25`. */
function isListener(line: string, value: string): boolean {
  return sameText(line, value) || (/^\d+$/.test(value) && line.endsWith(`:${value}`))
}

function within(column: string, values: readonly SqlValue[]): Sql {
  return { text: `${column} IN (${values.map(() => '?').join(', ')})`, values }
}

function either(some: readonly Sql[]): Sql {
  return { text: `(${some.map(({ text }) => text).join(' OR ')})`, values: some.flatMap(({ values }) => values) }
}

function escaped(text: string): string {
  return text.replaceAll(/[\\%_]/g, String.raw`\$&`)
}
