import { setImmediate as nextTurn } from 'node:timers/promises'

import { compileExpression } from '../../shared/config/ere.ts'
import type { GroupingExpression } from '../../shared/config/ere.ts'
import { groupTemplate } from '../../shared/config/group-template.ts'
import { isChosen } from '../../shared/config/listener-choice.ts'
import type { HeaderAction, HeaderRule, Listener } from '../../shared/config/model.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { fieldValue, headerFields } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit, HeaderField } from '../../shared/mail/header-edit.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { AcceptedFate } from '../../shared/pipeline/pipeline.ts'

/** Counts the Received fields that rules took out, so that a loop is still seen (RFC 5321 §6.3). */
export const hopsField = 'X-Sluice-Hops'

/** What the rules make of one header section. */
export interface HeaderVerdict {
  readonly edits: readonly HeaderEdit[]
  /** Of `warn`. */
  readonly warnings: readonly string[]
  readonly refusal?: Reply
  /** Of `hold` and `discard`, the last one. */
  readonly fate?: AcceptedFate
  /** Of `redirect`, the last one. */
  readonly redirect?: Mailbox
}

/** `carriedHops`: what the hops field of the message says. */
export type CheckHeader = (section: Buffer, carriedHops: number) => Promise<HeaderVerdict>

/** Characters of a field, unfolded, that are looked at: time is linear in them. */
const longestSubject = 4_096
/** Characters looked at before other sessions have their turn. */
const charactersPerTurn = 8_192

/** `header match` for a listener; absent: no rule is for it. */
export function headerChecks(rules: readonly HeaderRule[], listener: Listener): CheckHeader | undefined {
  const own = rules
    .filter((rule) => isChosen(rule.for, listener))
    .map(({ expression, action }) => checkOf(compileExpression(expression), action))
  return own.length === 0 ? undefined : (section, carriedHops) => check(own, section, carriedHops)
}

interface Check {
  readonly expression: GroupingExpression
  /** Of the match: the action with what the groups matched. */
  readonly action: (subject: string) => HeaderAction
}

function checkOf(expression: GroupingExpression, action: HeaderAction): Check {
  const written = 'field' in action ? action.field : 'text' in action ? action.text : ''
  if (!written.includes('$')) return { expression, action: () => action }
  const template = groupTemplate(written, expression.groups)
  const fill = (subject: string): string => template(expression.find(subject) ?? [])
  return {
    expression,
    action: (subject) =>
      'field' in action ? { ...action, field: asField(fill(subject)) } : { ...action, text: asText(fill(subject)) },
  }
}

/** On lines that are not too long (RFC 5322 §2.1.1), and on no others. */
function asField(text: string): string {
  return text.replaceAll(/[\r\n\0]/g, ' ').replaceAll(/([^\r\n]{700,900}?)(?=[ \t][^ \t])/g, '$1\r\n')
}

/** As a reply may hold it (RFC 5321 §4.2). */
function asText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 400)
}

async function check(checks: readonly Check[], section: Buffer, carriedHops: number): Promise<HeaderVerdict> {
  const edits: HeaderEdit[] = []
  const warnings: string[] = []
  let fate: AcceptedFate | undefined
  let redirect: Mailbox | undefined
  let hopsRemoved = 0
  let characters = 0
  for (const field of headerFields(section)) {
    if (field.name === '' || field.name === hopsField.toLowerCase()) continue
    const subject = subjectOf(field)
    for (const { expression, action: actionFor } of checks) {
      characters += subject.length
      if (characters > charactersPerTurn) {
        characters = 0
        await nextTurn()
      }
      if (!expression.test(subject)) continue
      const action = actionFor(subject)
      if (action.kind === 'reject') return { edits: [], warnings, refusal: replyOf(action.text) }
      if (action.kind === 'warn') warnings.push(`${action.text}: ${subject.slice(0, 200)}`)
      if (action.kind === 'redirect') redirect = action.mailbox
      if (action.kind === 'hold') fate = action
      if (action.kind === 'discard') return { edits, warnings, fate: action }
      edits.push(...editsOf(action, field))
      if (field.name === 'received' && (action.kind === 'ignore' || action.kind === 'replace')) hopsRemoved += 1
      break
    }
  }
  return {
    edits: [...edits, ...hopEdits(hopsRemoved, carriedHops)],
    warnings,
    ...(fate === undefined ? {} : { fate }),
    ...(redirect === undefined ? {} : { redirect }),
  }
}

/** The field on one line. */
function subjectOf({ raw }: HeaderField): string {
  return raw.toString('utf8').replaceAll('\r\n', '').slice(0, longestSubject)
}

/** None but of `ignore`, `prepend` and `replace`. */
function editsOf(action: HeaderAction, field: HeaderField): readonly HeaderEdit[] {
  const remove: HeaderEdit = { kind: 'remove', name: field.name, value: fieldValue(field) }
  if (action.kind === 'ignore') return [remove]
  if (action.kind !== 'prepend' && action.kind !== 'replace') return []
  const prepend: HeaderEdit = { kind: 'prepend', fields: `${action.field}\r\n` }
  return action.kind === 'prepend' ? [prepend] : [remove, prepend]
}

function hopEdits(removed: number, carried: number): readonly HeaderEdit[] {
  if (removed === 0) return []
  return [
    { kind: 'remove', name: hopsField },
    { kind: 'prepend', fields: `${hopsField}: ${carried + removed}\r\n` },
  ]
}

function replyOf(text: string): Reply {
  const [, code = '550', enhanced, said = ''] = /^(\d{3}) (?:([45]\.\d{1,3}\.\d{1,3}) )?(.*)$/.exec(text) ?? []
  return { code: Number(code), ...(enhanced === undefined ? {} : { enhanced }), text: said }
}
