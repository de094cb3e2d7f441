import type { EightBitRule } from '../../shared/config/model.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { convertContent, surveyContent } from '../../shared/mail/seven-bit-content.ts'
import type { Rereadable } from '../../shared/mail/seven-bit-content.ts'
import type { SevenBitContent } from '../../shared/smtp-client/transaction.ts'

/**
 * What a host without 8BITMIME gets; found out once, however many of them are tried. A message whose parts cannot be told from each
 * other goes as it is, and so does a signed one unless the rule says otherwise (docs/decisions/0013).
 */
export function sevenBitOf(
  content: Rereadable,
  rule: Exclude<EightBitRule, 'unchanged'>,
): () => Promise<SevenBitContent> {
  let found: Promise<SevenBitContent> | undefined
  return () => (found ??= fit(content, rule))
}

async function fit(content: Rereadable, rule: Exclude<EightBitRule, 'unchanged'>): Promise<SevenBitContent> {
  const need = await surveyContent(content)
  if (need.kind === 'nothing') return asItIs(content)
  if (rule === 'return') return { kind: 'refused', reply: conversionRequired }
  if (need.kind === 'unreadable' || (need.kind === 'signed' && rule === 'convert')) return asItIs(content)
  return asItIs(await convertContent(content, need.plan))
}

function asItIs({ sizeBytes, read }: Rereadable): SevenBitContent {
  return { kind: 'content', sizeBytes, read }
}

/** RFC 3463 X.6.3. */
const conversionRequired: Reply = {
  code: 554,
  enhanced: '5.6.3',
  text: 'The message has octets beyond ASCII, and the next server does not offer 8BITMIME',
}
