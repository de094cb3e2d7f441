import type { PolicyDraft } from './policy-draft.ts'

/** At the end of smtpd.conf: what only the whole file shows. */
export function completePolicy(draft: PolicyDraft, ruleHint: string): void {
  const { reader } = draft
  draft.names.resolveLate()
  checkPkis(draft)
  const faulty = draft.faultyRules || reader.lexer.diagnostics.some(({ severity }) => severity === 'error')
  if (draft.rules.length > 0 || faulty) return
  reader.report('no-rules', 'there is no rule: all mail would be refused', reader.peek().span, ruleHint)
}

const certWord = { modern: 'cert', old: 'certificate' } as const

function checkPkis(draft: PolicyDraft): void {
  for (const [name, { cert, key, span, faulty }] of draft.pkis) {
    if (faulty === true) continue
    const missing = cert === undefined ? certWord[draft.grammar] : key === undefined ? 'key' : undefined
    if (missing === undefined) continue
    const hint = `add: pki ${name} ${missing} "/path"`
    draft.reader.report('incomplete', `the pki "${name}" has no ${missing}`, span, hint)
  }
}
