import { readMail } from '../classifier/readable-mail.ts'
import type { Clock } from '../clock.ts'
import type { Configuration, DigestSettings } from '../config/model.ts'
import type { Logger } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import { noticeEnvelope } from '../mail/envelope.ts'
import { derivedMessageId, newMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { withTag } from '../mail/tag.ts'
import { isDeliveredHere } from '../pipeline/delivered-here.ts'
import { recipientOf } from '../pipeline/plan.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import { heldQueue } from '../queue/queues.ts'
import type { JobSummary, Queues } from '../queue/queues.ts'
import { SpoolReadError } from '../spool/spool.ts'
import type { Spool, SpooledMessage } from '../spool/spool.ts'
import { composeDigest } from './digest-mail.ts'
import type { DigestEntry } from './digest-mail.ts'
import { nextDigestAt, readDigestState, writeDigestState } from './digest-times.ts'
import { createLinkSigner, isOffered, linkActions, readLinkKey } from './links.ts'
import type { LinkAction, LinkSigner } from './links.ts'

export interface DigestParts {
  /** The one in force: read at each use. */
  readonly configuration: Configuration
  readonly queues: Pick<Queues, 'list' | 'notes'>
  readonly spool: Pick<Spool, 'read'>
  readonly pipeline: Pick<Pipeline, 'route' | 'submit'>
  readonly dataFolder: string
  readonly clock: Clock
  readonly log: Logger
}

const atOnce = 500
/** A digest tells so many messages; the rest is a number. */
const mostEntries = 100
/** What was held in this moment may not be listed yet: it is told the next time. */
const settledMs = 10_000
/** Links are good for as long as what they are about is kept, or this. */
const usualLinkMs = 30 * 86_400_000

/**
 * Sends the digests when they are due: one mail for each recipient with newly held mail, or one for all. The state is on disk before
 * the first one goes and behind the last, and their ids follow from it: what breaks off is taken up again, here or by another host of the same
 * spool, and who was told within the last hour is not told twice. One process of a spool may do this at a time. @returns how many were sent
 */
export async function sendDigests(parts: DigestParts, signal: AbortSignal): Promise<number> {
  const { configuration, dataFolder, clock, queues } = parts
  const place = { dataFolder, notes: queues.notes }
  const { digest, keepMs } = configuration.pipeline.quarantine
  const { url } = configuration.pipeline.dashboard
  if (digest === undefined || url === undefined) return 0
  const nowAt = clock.now()
  const state = await readDigestState(place)
  if (state === undefined) {
    await writeDigestState(place, { toldUntil: 0, lastAt: nowAt })
    return 0
  }
  if (state.sending === undefined && nowAt < nextDigestAt(state.lastAt, digest)) return 0
  const sending = state.sending ?? { until: nowAt - settledMs, seed: newMessageId(nowAt) }
  await writeDigestState(place, { ...state, sending })
  const signer = createLinkSigner(await readLinkKey(dataFolder))
  const linksExpireAt = sending.until + (keepMs ?? usualLinkMs)
  const links = { signer, url, expiresAt: linksExpireAt }
  const news = await collectNews(parts, { digest, since: state.toldUntil, until: sending.until, links }, signal)
  for (const [to, { entries, count }] of news) {
    signal.throwIfAborted()
    const id = derivedMessageId(sending.seed, `digest.${to}`)
    const more = count - entries.length
    const content = composeDigest({ id, hostname: configuration.hostname, to, nowAt, entries, more, linksExpireAt })
    await parts.pipeline.submit(noticeEnvelope(id, to, nowAt), content)
  }
  await writeDigestState(place, { toldUntil: sending.until, lastAt: nowAt })
  return news.size
}

interface News {
  readonly entries: DigestEntry[]
  count: number
}

interface Wanted {
  readonly digest: DigestSettings
  /** Held after then, and not after `until`; epoch ms. */
  readonly since: number
  readonly until: number
  readonly links: Links
}

interface Links {
  readonly signer: LinkSigner
  readonly url: string
  readonly expiresAt: number
}

/** By who is to be told. */
async function collectNews(
  parts: DigestParts,
  { digest, since, until, links }: Wanted,
  signal: AbortSignal,
): Promise<ReadonlyMap<Mailbox, News>> {
  const news = new Map<Mailbox, News>()
  for (let start = 0; ; start += atOnce) {
    const page = await parts.queues.list(heldQueue, ['waiting'], start, start + atOnce - 1)
    for (const job of page) {
      const { held } = job.data
      if (held?.quarantine === undefined || held.at <= since || held.at > until) continue
      signal.throwIfAborted()
      await addNews(parts, news, job, { digest, links })
    }
    if (page.length < atOnce) return news
  }
}

async function addNews(
  parts: DigestParts,
  news: Map<Mailbox, News>,
  { data }: JobSummary,
  { digest, links }: Pick<Wanted, 'digest' | 'links'>,
): Promise<void> {
  const stored = await readStored(parts, data.at)
  const { held } = data
  // What is made here is never told: a digest that is held would be told by the next one.
  const kind = held?.quarantine
  if (stored === undefined || kind === undefined || held === undefined || stored.envelope.origin.kind === 'local')
    return
  const tag = parts.configuration.pipeline.queues.get(held.queue)?.tag
  const tags = tag === undefined || tag === '' ? data.tags : withTag(data.tags, tag as (typeof data.tags)[number])
  const envelope = { ...stored.envelope, tags }
  const entry = { ...(await seenIn(stored)), from: data.from, receivedAt: envelope.receivedAt, reason: held.reason }
  for (const recipient of data.rcpt) {
    const { mailbox } = recipientOf(envelope, recipient)
    if (
      digest.to === 'recipients' &&
      !(await isDeliveredHere(parts.pipeline.route, envelope, recipient, data.path.length + 1))
    )
      continue
    const to = digest.to === 'recipients' ? mailbox : digest.to
    const known = news.get(to) ?? { entries: [], count: 0 }
    news.set(to, known)
    known.count += 1
    if (known.entries.length >= mostEntries) continue
    const actions = linkActions.filter((action) => isOffered(action, kind, data.from))
    known.entries.push({
      ...entry,
      ...(digest.to === 'recipients' ? {} : { to: mailbox }),
      links: actions.map((action) => ({ action, url: linkTo(links, { id: data.id, recipient, action }) })),
    })
  }
}

function linkTo(
  { signer, url, expiresAt }: Links,
  what: { readonly id: MessageId; readonly recipient: number; readonly action: LinkAction },
): string {
  return `${url}/quarantine/${signer.sign({ ...what, expiresAt })}`
}

/** Undefined: it was settled in this moment, or cannot be read. */
async function readStored(
  { spool, log }: DigestParts,
  at: JobSummary['data']['at'],
): Promise<SpooledMessage | undefined> {
  try {
    return await spool.read(at)
  } catch (error) {
    if (!(error instanceof SpoolReadError)) throw error
    log.warn({ err: error }, 'a held message cannot be told in a digest')
    return undefined
  }
}

async function seenIn(stored: SpooledMessage): Promise<Pick<DigestEntry, 'author' | 'subject'>> {
  const { fields } = readMail(await stored.header())
  const value = (name: string): string | undefined => fields.find((field) => field.name === name)?.value
  const [author, subject] = [value('from'), value('subject')]
  return { ...(author === undefined ? {} : { author }), ...(subject === undefined ? {} : { subject }) }
}
