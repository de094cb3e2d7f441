import type { PipelineSettings } from './model.ts'
import { choiceOf, finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'

/** What others report to us. */
export const receivedStatements: Readonly<Record<string, ParseStatement>> = {
  'received-reports': parseReceivedReports,
}

const dayMs = 86_400_000

export const usualReceivedReports: PipelineSettings['receivedReports'] = { keepMs: 400 * dayMs, mail: 'pass' }

/** `received-reports [keep D] [mail pass|discard]`. */
function parseReceivedReports(draft: PipelineDraft): void {
  const { reader } = draft
  let { receivedReports } = draft.settings
  reader.next()
  do {
    if (reader.accept('keep')) receivedReports = { ...receivedReports, keepMs: keepOf(draft) }
    else if (reader.accept('mail'))
      receivedReports = {
        ...receivedReports,
        mail: choiceOf(reader, ['pass', 'discard'] as const, 'what becomes of it'),
      }
    else reader.unexpected('a setting of received-reports', ['keep', 'mail'])
  } while (!reader.atEnd())
  finish(draft, { receivedReports })
}

function keepOf({ reader }: PipelineDraft): number {
  const { span } = reader.peek()
  const keepMs = reader.duration('keep')
  return keepMs >= dayMs ? keepMs : reader.fail('value', 'reports are kept for a day at least', span, '400d')
}
