import { prepareArc } from '../../../shared/dkim/arc.ts'
import type { PreparedArc } from '../../../shared/dkim/arc.ts'
import { authorDomains } from '../../../shared/dkim/author-domain.ts'
import type { Prepared } from '../../../shared/dkim/prepare.ts'
import { SignaturePreparation } from '../../../shared/dkim/prepare.ts'
import { rawFields, rawValue } from '../../../shared/dkim/raw-field.ts'

export interface InspectTask {
  readonly header: Uint8Array
  readonly body: Uint8Array
}

/** All that the octets of a message say about its authentication: what is left needs DNS. Plain data. */
export interface Inspection {
  readonly dkim: readonly Prepared[]
  readonly arc: PreparedArc
  /** From fields, and the domains of the mailboxes in them. */
  readonly fromFields: number
  readonly authors: readonly string[]
}

/** One parse of the header and one pass over the body. Runs in a thread, or in place for what is shorter than the way there. */
export default function inspect(task: InspectTask): Inspection {
  const preparation = new SignaturePreparation(rawFields(task.header))
  const from = preparation.fields.get('from') ?? []
  const finishDkim = preparation.dkim()
  const finishArc = prepareArc(preparation)
  preparation.body(task.body)
  return {
    dkim: finishDkim(),
    arc: finishArc(),
    fromFields: from.length,
    authors: from.length === 1 ? authorDomains(rawValue(from[0]?.raw ?? '')) : [],
  }
}
