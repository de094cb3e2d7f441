import type { HeaderAction, HeaderRule, Listener } from '../../shared/config/model.ts'
import { fieldValue, headerFields } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit, HeaderField } from '../../shared/mail/header-edit.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { RuleSearch, compileHeaderRules, longestSubject } from './match-rules.ts'
import type { CompiledRule, Findings } from './match-rules.ts'

/** Counts the Received fields that rules took out, so that a loop is still seen (RFC 5321 §6.3). */
export const hopsField = 'X-Sluice-Hops'

/** What the rules make of one header section. */
export interface HeaderVerdict extends Findings {
  readonly edits: readonly HeaderEdit[]
  readonly refusal?: Reply
}

/** `carriedHops`: what the hops field of the message says. */
export type CheckHeader = (section: Buffer, carriedHops: number) => Promise<HeaderVerdict>

interface Rules {
  readonly header: readonly CompiledRule<HeaderAction>[]
  /** For fields of MIME that no other matches. */
  readonly mime: readonly CompiledRule<HeaderAction>[]
}

/** `header match`, and `mime-header match` for the fields of MIME, for a listener; absent: no rule is for it. */
export function headerChecks(
  rules: readonly HeaderRule[],
  mimeRules: readonly HeaderRule[],
  listener: Listener,
): CheckHeader | undefined {
  const own: Rules = { header: compileHeaderRules(rules, listener), mime: compileHeaderRules(mimeRules, listener) }
  if (own.header.length === 0 && own.mime.length === 0) return undefined
  return (section, carriedHops) => check(own, section, carriedHops)
}

async function check({ header, mime }: Rules, section: Buffer, carriedHops: number): Promise<HeaderVerdict> {
  const edits: HeaderEdit[] = []
  const search = new RuleSearch()
  let hopsRemoved = 0
  for (const field of headerFields(section)) {
    if (field.name === '' || field.name === hopsField.toLowerCase()) continue
    const subject = subjectOf(field.raw)
    const action =
      (await search.find(header, subject, 'header match')) ??
      (isOfMime(field.name) ? await search.find(mime, subject, 'mime-header match') : undefined)
    if (search.refusal !== undefined) return { ...search.findings, edits: [], refusal: search.refusal }
    if (search.isOver) break
    if (action === undefined) continue
    edits.push(...editsOf(action, field))
    if (field.name === 'received' && (action.kind === 'ignore' || action.kind === 'replace')) hopsRemoved += 1
  }
  return { ...search.findings, edits: [...edits, ...hopEdits(hopsRemoved, carriedHops)] }
}

/** RFC 2045 §9; names in lower case. */
export function isOfMime(name: string): boolean {
  return name.startsWith('content-') || name === 'mime-version'
}

/** The field on one line. */
export function subjectOf(raw: Buffer): string {
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
