import { setImmediate as nextTurn } from 'node:timers/promises'

import { compileExpression } from '../../shared/config/ere.ts'
import type { Expression } from '../../shared/config/ere.ts'
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
    .map(({ expression, action }) => ({ expression: compileExpression(expression), action }))
  return own.length === 0 ? undefined : (section, carriedHops) => check(own, section, carriedHops)
}

interface Check {
  readonly expression: Expression
  readonly action: HeaderAction
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
    for (const { expression, action } of checks) {
      characters += subject.length
      if (characters > charactersPerTurn) {
        characters = 0
        await nextTurn()
      }
      if (!expression.test(subject)) continue
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
