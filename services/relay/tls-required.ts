import { applyEdits, fieldValue, headerFields } from '../../shared/mail/header-edit.ts'
import type { StageMessage } from '../../shared/pipeline/stage.ts'

/**
 * `TLS-Required: No` (RFC 8689 §5): the sender would rather have the message arrive than be kept by what the recipient's domain demands of
 * TLS. What our own configuration demands stays; with REQUIRETLS the field says nothing.
 */
export async function waivesTls({ envelope, stored, edits }: StageMessage): Promise<boolean> {
  if (envelope.requireTls === true) return false
  const fields = headerFields(applyEdits(await stored.header(), edits)).filter(({ name }) => name === 'tls-required')
  const [field] = fields
  return field !== undefined && fields.length === 1 && /^\s*no\s*$/i.test(fieldValue(field))
}
