import { methodResults } from '../../shared/dkim/authentication-results.ts'
import { authorDomains } from '../../shared/dkim/author-domain.ts'
import { ownResults } from '../../shared/dkim/prepended-fields.ts'
import { rawFields, rawValue } from '../../shared/dkim/raw-field.ts'
import type { StageMessage } from '../../shared/pipeline/stage.ts'
import type { ReportMail } from '../../shared/received-reports/model.ts'
import { domainOf } from './values.ts'

/** Whose mail it is that brings a report, and whether our filter believes that. */
export async function reportMailOf({ stored, edits }: StageMessage, authservId: string): Promise<ReportMail> {
  const from = rawFields(await stored.header()).find(({ name }) => name === 'from')
  const domain = from === undefined ? undefined : domainOf(authorDomains(rawValue(from.raw))[0])
  const results = ownResults(edits, authservId)
  const dmarc = results === undefined ? undefined : dmarcOf(results)
  return { ...(domain === undefined ? {} : { domain }), ...(dmarc === undefined ? {} : { dmarc }) }
}

function dmarcOf(results: string): string | undefined {
  return methodResults(rawValue(`:${results}`)).find(({ method }) => method === 'dmarc')?.result
}
