import type { CertificateView } from '../../shared/certificate-view.ts'
import { hourMs } from '../../shared/destinations/known.ts'
import type { ReplyClass } from '../../shared/mail/reply-class.ts'
import type { RedisReport } from '../../shared/queue/check-redis.ts'
import type { Destinations, DestinationView } from '../../shared/report/destinations.ts'
import { formatDuration, formatSize, plural } from '../../shared/report/units.ts'
import type { SystemView } from './system-desk.ts'

/** Something an operator should know before it becomes trouble, and the page that tells more. */
export interface Warning {
  readonly tone: 'bad' | 'waiting'
  readonly title: string
  readonly text: string
  /** Path of the page. */
  readonly page: string
  /** What is found there. */
  readonly leads: string
}

/** What is looked at; absent: it did not answer. */
export interface Watched {
  readonly system?: SystemView
  readonly destinations?: Destinations
}

const dayMs = 24 * hourMs
/** Authorities renew before. */
export const soonDays = 14
/** Of the disk, or of the quota. */
const lowShare = 0.1
/** A large disk is not full with this left. */
const plentyBytes = 20 * 1024 ** 3
const mostDestinations = 3
/** Fewer, or for a shorter time, is everyday's greylisting. */
const manyDelayed = 10
const longMs = hourMs

/** The gravest first. */
export function warningsOf({ system, destinations }: Watched, nowAt: number): readonly Warning[] {
  const all = [
    ...(system === undefined
      ? []
      : [
          ...spaceWarnings(system.spool),
          ...redisWarnings(system.redis),
          ...system.certificates.flatMap((one) => certificateWarning(one, nowAt) ?? []),
        ]),
    ...(destinations === undefined ? [] : destinationWarnings(destinations, nowAt)),
  ]
  return all.toSorted((one, other) => Number(other.tone === 'bad') - Number(one.tone === 'bad'))
}

function spaceWarnings({ freeBytes, totalBytes, quotaBytes }: SystemView['spool']): readonly Warning[] {
  const whole = quotaBytes ?? totalBytes
  const low = Math.min(whole * lowShare, plentyBytes)
  if (freeBytes >= low) return []
  const isFull = freeBytes === 0
  return [
    {
      tone: isFull ? 'bad' : 'waiting',
      title: isFull ? 'The spool is full.' : 'The spool is nearly full.',
      text: `${formatSize(freeBytes)} of ${formatSize(whole)} are left for new mail${isFull ? '; it is answered 452 and comes again later' : '; when nothing is left it is answered 452 and comes again later'}. What waits is in the queues; how much of the past is kept say "events keep" and "replay keep" of pipeline.conf.`,
      page: '/system#storage',
      leads: 'Where mail is kept',
    },
  ]
}

function redisWarnings(redis: RedisReport | undefined): readonly Warning[] {
  if (redis === undefined) return []
  const page = { page: '/system#storage', leads: 'Redis' } as const
  const full: readonly Warning[] = redis.tooFull
    ? [
        {
          tone: 'bad',
          title: 'Redis is nearly full.',
          text: `${formatSize(redis.usedBytes)} of ${formatSize(redis.maxBytes)} are used: mail is accepted and waits in the spool until there is room. Give it more (maxmemory), or see which queue grows.`,
          ...page,
        },
      ]
    : []
  return [
    ...full,
    ...redis.refusals.map((text): Warning => ({ tone: 'bad', title: 'Redis is not fit for mail.', text, ...page })),
    ...redis.warnings.map((text): Warning => ({ tone: 'waiting', title: 'Redis could be safer.', text, ...page })),
  ]
}

function certificateWarning({ pki, found, trouble }: CertificateView, nowAt: number): Warning | undefined {
  const page = { page: '/system#certificates', leads: 'Certificates' } as const
  if (found === undefined)
    return { tone: 'bad', title: `The certificate ${pki} cannot be read.`, text: `${trouble ?? ''}.`, ...page }
  const renew = 'Renew it; a new file is used without a restart.'
  if (found.untilAt <= nowAt)
    return {
      tone: 'bad',
      title: `The certificate ${pki} is over`,
      text: `for ${formatDuration(nowAt - found.untilAt)}: programs of users refuse it. ${renew}`,
      ...page,
    }
  if (found.untilAt - nowAt >= soonDays * dayMs) return undefined
  return {
    tone: 'waiting',
    title: `The certificate ${pki} ends`,
    text: `in ${formatDuration(found.untilAt - nowAt)}. ${renew}`,
    ...page,
  }
}

/** Those that more than a few messages wait for, or for long, or that refused us lately for what we are. */
function destinationWarnings({ destinations }: Destinations, nowAt: number): readonly Warning[] {
  const all = destinations.flatMap((view) => destinationWarning(view, nowAt) ?? [])
  if (all.length <= mostDestinations) return all
  const more: Warning = {
    tone: 'waiting',
    title: `${plural(all.length - mostDestinations, 'destination')} more`,
    text: 'with mail that waits, or that refuse it.',
    page: '/destinations',
    leads: 'All destinations',
  }
  return [...all.slice(0, mostDestinations), more]
}

function destinationWarning(view: DestinationView, nowAt: number): Warning | undefined {
  const { name, delayed, oldestAt, aloneForMs, history, replyClass, lastReply } = view
  const page = { page: `/destinations/${encodeURIComponent(name)}`, leads: 'How it goes there, and what can be done' }
  const waitedMs = oldestAt === undefined ? 0 : nowAt - oldestAt
  const waits = delayed >= manyDelayed || (delayed > 0 && waitedMs >= longMs)
  if (waits) {
    const alone = aloneForMs === undefined ? '' : `, left alone for ${formatDuration(aloneForMs)}`
    const said = lastReply === undefined ? '' : ` It said: ${lastReply}`
    return {
      tone: 'waiting',
      title: `${name} ${because(replyClass)}.`,
      text: `${plural(delayed, 'message waits', 'messages wait')}, the oldest for ${formatDuration(waitedMs)}${alone}.${said}`,
      ...page,
    }
  }
  const blocked = history?.refusals.find(
    (one) => blocks.has(one.replyClass) && one.reply.startsWith('5') && nowAt - one.at < hourMs,
  )
  if (blocked === undefined) return undefined
  return {
    tone: 'bad',
    title: `${name} ${because(blocked.replyClass)}.`,
    text: `${plural(blocked.times, 'copy', 'copies')} in 24 hours. It said: ${blocked.reply}`,
    ...page,
  }
}

/** What is about us, and not about one message or mailbox. */
const blocks: ReadonlySet<ReplyClass> = new Set<ReplyClass>(['spam', 'policy', 'authentication', 'rate-limit', 'login'])

const reasons: ReadonlyMap<ReplyClass, string> = new Map<ReplyClass, string>([
  ['rate-limit', 'wants less mail from us'],
  ['greylisted', 'puts our mail off'],
  ['spam', 'takes our mail for spam'],
  ['policy', 'does not want our mail'],
  ['authentication', 'does not believe who we are (SPF, DKIM, DMARC, or the name of our address)'],
  ['login', 'does not take our login'],
  ['tls', 'cannot be reached by TLS as it must'],
  ['dns', 'is not found in the DNS'],
  ['connection', 'cannot be reached'],
])

function because(replyClass: ReplyClass | undefined): string {
  return reasons.get(replyClass ?? 'other') ?? 'has mail waiting'
}
