import type { Diagnostic } from './diagnostic.ts'
import type { AtRestSettings } from './model.ts'
import type { PipelineDraft } from './pipeline-draft.ts'
import type { PolicyDraft } from './policy-draft.ts'

const useKeyFile = 'name a file that holds the key in pipeline.conf: spool "/path" key file "/run/secrets/spool.key"'

/** `queue compression` and `queue encryption [[key] KEY]`, behind `queue`; false when neither stands there. */
export function parseAtRest(draft: PolicyDraft): boolean {
  const { reader } = draft
  const { span } = reader.peek()
  if (reader.accept('compression')) {
    draft.queueCompression = true
    return true
  }
  if (!reader.accept('encryption')) return false
  draft.queueEncryption = span
  if (draft.grammar === 'old') reader.accept('key')
  if (!reader.atEnd()) parseKey(draft)
  return true
}

function parseKey(draft: PolicyDraft): void {
  const { reader } = draft
  const key = reader.next()
  if (key.text === '-' || key.text === 'stdin') {
    reader.fail(
      'unsupported',
      'a service has no terminal to ask for the key',
      key.span,
      `write \`queue encryption\`, and ${useKeyFile}`,
    )
  }
  if (Buffer.byteLength(key.text) !== 32) {
    reader.fail('value', 'the key must have 32 characters', key.span, `openssl rand -hex 16; better, ${useKeyFile}`)
  }
  reader.warn('portability', 'a secret stands in this file: who can read it can read the mail', key.span, useKeyFile)
  draft.queueKey = key.text
}

/** What both files say of the records on disk. */
export function completeAtRest(policy: PolicyDraft, pipeline: PipelineDraft): AtRestSettings {
  return {
    compression: policy.queueCompression || pipeline.settings.spool?.compression === true,
    encryption: policy.queueEncryption !== undefined,
    ...(policy.queueKey === undefined ? {} : { key: policy.queueKey }),
  }
}

/** Encryption without a key is a fault; keys without encryption are worth a word. */
export function atRestFaults(policy: PolicyDraft, pipeline: PipelineDraft): readonly Diagnostic[] {
  const hasKeyFile = pipeline.settings.spool?.keyFile !== undefined
  const wish = policy.queueEncryption
  if (wish !== undefined && policy.queueKey === undefined && !hasKeyFile) {
    const message = 'encryption needs a key'
    return [{ severity: 'error', code: 'incomplete', message, span: wish, hint: useKeyFile }]
  }
  const span = pipeline.statedAt.get('spool')
  if (wish !== undefined || !hasKeyFile || span === undefined) return []
  const message = 'the key file only reads what was encrypted before: new mail is written in clear'
  return [{ severity: 'warning', code: 'no-effect', message, span, hint: 'write `queue encryption` in smtpd.conf' }]
}
