import { kindNumber, stateNumber } from './copy-state.ts'
import type { CopyState } from './copy-state.ts'
import { firstKeyOf, lastKeyOf } from './message-key.ts'
import { acceptedAtOf } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { Term } from './query.ts'
import type { Dialect, Sql, SqlValue, Way } from './sql.ts'

/** What a term means for the rows: `m` is the message, `c` one of its copies. */
export interface Condition {
  readonly of: 'message' | 'copy'
  readonly where: Sql
  /** Where to look for messages that may be meant, each by an index; empty: no index knows. */
  readonly ways: readonly Way[]
  /** No row can be meant. */
  readonly isNever?: true
}

/** Texts of the numbers that stand for rules, tags and the like. */
export type NameTexts = ReadonlyMap<number, string>

export function conditionOf(dialect: Dialect, term: Term, names: NameTexts): Condition {
  const condition = plainCondition(dialect, term, names)
  if (!term.isNegated) return condition
  const { of, where } = condition
  const text = of === 'message' ? `NOT coalesce((${where.text}), false)` : `NOT ${dialect.hasCopy(where.text)}`
  return { of: 'message', where: { text, values: where.values }, ways: [] }
}

function plainCondition(dialect: Dialect, { field, values }: Term, names: NameTexts): Condition {
  switch (field) {
    case 'id':
      return ids(dialect, values as readonly MessageId[])
    case 'message-id':
      return equal('header_id', values, dialect.by('messages', 'messages_header_id'))
    case 'from':
      return anyOf(
        'message',
        values.map((value) => fromWay(dialect, value)),
      )
    case 'to':
    case 'domain':
      return anyOf(
        'copy',
        values.map((value) => toWay(dialect, field === 'domain' && !value.includes('@') ? `@${value}` : value)),
      )
    case 'address':
      return eitherSide(dialect, values)
    case 'tag':
      return named('message', 'tags', namesWith(names, values, sameText), dialect.by('messages', 'messages_tags'))
    case 'queue':
      return named('copy', 'stage', namesWith(names, values, sameText))
    case 'status':
      return statuses(dialect, values as readonly CopyState[])
    case 'rule':
      return named('copy', 'rules', namesWith(names, values, isRule), dialect.by('copies', 'copies_rules'))
    case 'client':
      return equal('client', values, dialect.by('messages', 'messages_client'))
    case 'user':
      return ofUser(dialect, values)
    case 'listener':
      return named('message', 'listener', namesWith(names, values, isListener))
    case 'class':
      return named('copy', 'class', namesWith(names, values, sameText), dialect.by('copies', 'copies_class'))
    case 'text':
      return texts(dialect, values)
    case 'subject':
      return subjects(dialect, values)
  }
}

function ids(dialect: Dialect, values: readonly MessageId[]): Condition {
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
    from: dialect.by('messages', 'messages_later'),
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

function fromWay(dialect: Dialect, value: string): OneOf {
  const place = { from: dialect.by('messages', 'messages_sender'), key: 'k.message' }
  const locals = dialect.by('messages', 'messages_local')
  if (value === '<>') {
    const where = (column: string): Sql => ({ text: `${column} = ''`, values: [] })
    const indexed = { text: `k.sender IS NOT NULL AND ${dialect.byDomain('k.sender')} = '@'`, values: [] }
    return { where: where('m.sender'), way: { ...place, where: indexed, isSorted: true } }
  }
  return addressWay(dialect, value, { ...place, locals, column: 'sender', mark: 'm' })
}

function toWay(dialect: Dialect, value: string): OneOf {
  const from = dialect.by('copies', 'copies_address')
  const locals = dialect.by('copies', 'copies_local')
  return addressWay(dialect, value, { from, locals, key: 'k.message', column: 'address', mark: 'c' })
}

function eitherSide(dialect: Dialect, values: readonly string[]): Condition {
  const from = values.map((value) => fromWay(dialect, value))
  const to = values.map((value) => toWay(dialect, value))
  const received = either(to.map(({ where }) => where))
  const where = either([
    ...from.map((one) => one.where),
    {
      text: dialect.hasCopy(received.text),
      values: received.values,
    },
  ])
  return { of: 'message', where, ways: waysOf([...from, ...to]) }
}

interface AddressColumn extends Pick<Way, 'from' | 'key'> {
  /** By the name before the `@` alone. */
  readonly locals: string
  readonly column: 'sender' | 'address'
  /** Of the table in conditions. */
  readonly mark: 'm' | 'c'
}

/** `jane@example.org`, `@example.org` for all of the domain, `jane@` or `jane` for that name in any domain. */
function addressWay(dialect: Dialect, value: string, { from, locals, key, column, mark }: AddressColumn): OneOf {
  const at = value.lastIndexOf('@')
  const local = (at < 0 ? value : value.slice(0, at)).toLowerCase()
  const domain = at < 0 ? '' : value.slice(at + 1).toLowerCase()
  const asked = `${mark}.${column}`
  const present = column === 'sender' ? 'k.sender IS NOT NULL AND ' : ''
  if (domain === '') {
    const is = (name: string): string => `${dialect.localOf(name)} = ?`
    const way = {
      from: locals,
      key,
      where: { text: `${present}${is(`k.${column}`)}`, values: [local] },
      isSorted: true,
    }
    return { where: { text: is(asked), values: [local] }, way }
  }
  const [is, values] =
    local === ''
      ? [(name: string) => `${name} >= ? AND ${name} < ?`, [`${domain}@`, `${domain}A`]]
      : [(name: string) => `${name} = ?`, [`${domain}@${local}`]]
  const indexed = `${present}${is(dialect.byDomain(`k.${column}`))}`
  return {
    where: { text: is(dialect.byDomain(asked)), values },
    way: { from, key, where: { text: indexed, values }, isSorted: local !== '' },
  }
}

function statuses(dialect: Dialect, values: readonly CopyState[]): Condition {
  const numbers = [...new Set(values.map(stateNumber))]
  const open: Way = {
    from: dialect.by('copies', 'copies_open'),
    key: 'k.message',
    where: { text: 'k.state < 3', values: [] },
    isSorted: true,
  }
  const ended = (state: number): Way => ({
    from: dialect.by('copies', 'copies_ended'),
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
function texts(dialect: Dialect, values: readonly string[]): Condition {
  const where = either(values.map((value) => ({ text: dialect.like('c.remote'), values: [`%${escaped(value)}%`] })))
  return { of: 'copy', where, ways: values.map((value) => dialect.words(value)) }
}

function subjects(dialect: Dialect, values: readonly string[]): Condition {
  const where = either(values.map((value) => ({ text: dialect.like('m.subject'), values: [`%${escaped(value)}%`] })))
  return { of: 'message', where, ways: values.map((value) => dialect.subjectWords(value)) }
}

function ofUser(dialect: Dialect, values: readonly string[]): Condition {
  const same = dialect.sameText('k."user"', values)
  const way: Way = {
    from: dialect.by('messages', 'messages_user'),
    key: 'k.message',
    where: { text: `k."user" IS NOT NULL AND ${same.text}`, values: same.values },
    isSorted: values.length === 1,
  }
  return { of: 'message', where: dialect.sameText('m."user"', values), ways: [way] }
}

function equal(column: string, values: readonly string[], from: string): Condition {
  const ways = values.map((value) => indexWay(column, value, from))
  return { of: 'message', where: within(`m.${column}`, values), ways: ways.flat() }
}

function named(of: Condition['of'], column: string, numbers: readonly number[], from?: string): Condition {
  if (numbers.length === 0) return { of, where: { text: 'false', values: [] }, ways: [], isNever: true }
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
