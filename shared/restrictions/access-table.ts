import { isIPv4 } from 'node:net'

import { parseAccessValue } from '../config/access-value.ts'
import { settle } from '../config/settle.ts'
import type { AccessSubject, RestrictionRule } from '../config/model.ts'
import { domainOf, localPart } from '../mail/address.ts'
import { about, parseReply } from './replies.ts'
import type { Finding, Means, Question, SaidPath } from './question.ts'

type CheckRule = Extract<RestrictionRule, { readonly kind: 'check' }>

/** A table that says what cannot be done: mail waits until it is mended. */
const misconfigured: Finding = { code: 451, enhanced: '4.3.5', text: 'Server configuration error' }

/** An access table: the value of the first key that is there decides. @throws TableError */
export async function checkAccess(rule: CheckRule, question: Question, means: Means): Promise<Finding> {
  const { subject, table } = rule
  const keys = await keysOf(rule, question, means.delimiter)
  const value = await settle(means.tables, (settled) => {
    for (const key of keys) {
      const found = settled.lookup(table, key)
      if (found !== undefined) return found
    }
    return undefined
  })
  if (value === undefined) return 'next'
  const finding = await findingOf(value, subject, question, means)
  if (finding === undefined)
    means.log.error({ table: table.name, value }, 'an access table says what is not known here')
  return finding ?? misconfigured
}

/** The keys of a subject, the closest one first. Patterns are compared with the whole of it, and not with parts. */
async function keysOf(
  { subject, table }: CheckRule,
  question: Question,
  delimiter: string,
): Promise<readonly string[]> {
  const whole = table.source.kind === 'patterns'
  switch (subject) {
    case 'client': {
      const { address, name } = question.client
      const { name: known, forward } = await name()
      const named = known !== undefined && forward === 'pass' ? known : undefined
      const plain = address.replace(/%.*$/, '')
      if (whole) return named === undefined ? [plain] : [named, plain]
      return [...(named === undefined ? [] : withParents(named)), ...networksOf(plain)]
    }
    case 'helo':
      if (question.helo === undefined) return []
      return whole ? [question.helo] : withParents(question.helo)
    case 'certificate': {
      const { fingerprint } = question.certificate ?? {}
      return fingerprint === undefined ? [] : [fingerprint, fingerprint.replaceAll(':', '')]
    }
    case 'sender':
    case 'recipient': {
      const keys = addressKeys(question[subject], delimiter)
      return whole ? keys.slice(0, 1) : keys
    }
  }
}

/** `user+detail@host.domain`, `user@host.domain`, `host.domain`, `domain`, `user+detail@`, `user@`. */
function addressKeys(path: SaidPath | undefined, delimiter: string): readonly string[] {
  if (path === undefined) return []
  if (path.mailbox === null) return ['<>']
  const [user, domain] = [localPart(path.mailbox), domainOf(path.mailbox)]
  const cut = user.indexOf(delimiter)
  const users = cut < 1 ? [user] : [user, user.slice(0, cut)]
  return [...users.map((one) => `${one}@${domain}`), ...withParents(domain), ...users.map((one) => `${one}@`)]
}

/** `a.b.c`, `b.c`, `c`. */
function withParents(name: string): readonly string[] {
  if (name.startsWith('[')) return [name]
  const labels = name.replace(/\.$/, '').split('.')
  return labels.map((_, index) => labels.slice(index).join('.'))
}

/** `192.0.2.1`, `192.0.2`, `192.0`, `192`; of IPv6 by its groups. */
function networksOf(address: string): readonly string[] {
  const mark = isIPv4(address) ? '.' : ':'
  const parts = address.split(mark)
  return parts.map((_, index) => parts.slice(0, parts.length - index).join(mark)).filter((one) => !one.endsWith(':'))
}

/** `undefined`: nothing that is known. */
async function findingOf(
  value: string,
  subject: AccessSubject,
  question: Question,
  { log }: Means,
): Promise<Finding | undefined> {
  const said = parseAccessValue(value)
  switch (said?.kind) {
    case undefined:
      return undefined
    case 'permit':
    case 'next':
      return said.kind
    case 'warn':
      log.info({ address: question.client.address, subject, text: said.text }, 'an access table has something to say')
      return 'next'
    case 'refuse': {
      const { code, enhanced = '', text } = parseReply(said.reply)
      return await about(subject, question, [code, enhanced], text)
    }
  }
}
