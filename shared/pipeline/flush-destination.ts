import type { Clock } from '../clock.ts'
import { domainOf } from '../mail/address.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'

/** A node of ETRN (RFC 1985 §5.2): a domain, or with `@` also what is below it. */
export interface Destination {
  readonly domain: string
  readonly subdomains: boolean
}

const pageJobs = 500

/**
 * Has all that waits for its next attempt to the destination's mailboxes tried now; how many jobs. What its sender keeps back stays where it is,
 * and what is parked by an operator.
 * @throws QueueUnavailableError
 */
export async function flushDestination(
  queues: Pick<Queues, 'list' | 'promote'>,
  destination: Destination,
  clock: Clock,
): Promise<number> {
  const found = new Set<string>()
  for (let start = 0; ; start += pageJobs) {
    const page = await queues.list('relay', ['delayed'], start, start + pageJobs - 1)
    for (const job of page) if (isFor(job, destination, clock.now())) found.add(job.jobId)
    if (page.length < pageJobs) break
  }
  let promoted = 0
  for (const jobId of found) promoted += await queues.promote('relay', jobId)
  return promoted
}

function isFor({ data }: JobSummary, { domain, subdomains }: Destination, nowAt: number): boolean {
  if (data.receivedAt > nowAt) return false
  // Not the job's own destination: that is the smarthost, where there is one.
  return data.to.some((mailbox) => {
    const of = domainOf(mailbox)
    return of === domain || (subdomains && of.endsWith(`.${domain}`))
  })
}
