import { statusOf } from './reply.ts'
import type { Reply } from './reply.ts'

/** What a refusal is about; few words, the same for all servers, for metrics and for what is learnt from replies. */
export type ReplyClass =
  | 'unknown-user'
  | 'mailbox-full'
  | 'mailbox-disabled'
  | 'bad-sender'
  | 'rate-limit'
  | 'greylisted'
  | 'spam'
  | 'content'
  /** SPF, DKIM, DMARC, ARC, or the name of our address. */
  | 'authentication'
  /** Our own login at a smarthost. */
  | 'login'
  | 'tls'
  | 'policy'
  | 'too-big'
  | 'loop'
  | 'dns'
  /** No connection, or it broke off. */
  | 'connection'
  | 'protocol'
  /** Trouble of the server itself. */
  | 'server'
  | 'expired'
  | 'other'

/**
 * Classifies a 4xx or 5xx. An enhanced code that says one thing only decides (RFC 3463, RFC 7372, RFC 7505); then a code that does; then
 * the words, since many servers answer nearly everything with 5.7.1; and what is left is what the codes say at large.
 */
export function classifyReply(reply: Reply): ReplyClass {
  const [, subject = '', detail = ''] = statusOf(reply).split('.')
  const status = `${subject}.${detail}`
  return (
    preciseStatus.get(status) ??
    preciseCode.get(reply.code) ??
    classOfWords(reply) ??
    vagueStatus(reply.code, status) ??
    subjects.get(subject) ??
    vagueCode.get(reply.code) ??
    'other'
  )
}

const preciseStatus: ReadonlyMap<string, ReplyClass> = new Map([
  ['1.1', 'unknown-user'],
  ['1.2', 'dns'],
  ['1.6', 'unknown-user'],
  ['1.7', 'bad-sender'],
  ['1.8', 'bad-sender'],
  ['2.2', 'mailbox-full'],
  ['2.3', 'too-big'],
  ['3.4', 'too-big'],
  ['4.2', 'connection'],
  ['4.3', 'dns'],
  ['4.4', 'dns'],
  ['4.6', 'loop'],
  ['4.7', 'expired'],
  ['5.3', 'rate-limit'],
  ['7.8', 'login'],
  ['7.10', 'tls'],
  ['7.12', 'login'],
  ['7.20', 'authentication'],
  ['7.21', 'authentication'],
  ['7.22', 'authentication'],
  ['7.23', 'authentication'],
  ['7.24', 'authentication'],
  ['7.25', 'authentication'],
  ['7.26', 'authentication'],
  ['7.27', 'bad-sender'],
  ['7.28', 'rate-limit'],
  ['7.29', 'authentication'],
  ['7.30', 'tls'],
])

const preciseCode: ReadonlyMap<number, ReplyClass> = new Map([
  [523, 'too-big'],
  [534, 'login'],
  [535, 'login'],
  [538, 'tls'],
  [551, 'unknown-user'],
  [556, 'dns'],
])

function classOfWords({ text }: Reply): ReplyClass | undefined {
  return words.find(([pattern]) => pattern.test(text))?.[1]
}

/** The first that fits counts: who writes "rate limited due to reputation" takes our mail later. */
const words: readonly (readonly [RegExp, ReplyClass])[] = [
  [/gr[ea]y-?list/i, 'greylisted'],
  [
    /\brate[- ]?limit|throttl|too (?:many|much|fast|frequent|quickly)|slow down|\b(?:at|unusual|sending|message) rate\b|unexpected volume|(?:exceed|reach)[a-z]* (?:the |your )?(?:[a-z]+ ){0,3}(?:limit|rate|quota of)|server busy/i,
    'rate-limit',
  ],
  [
    /over ?quota|quota exceeded|(?:mailbox|inbox|storage|maildir) (?:is )?(?:full|exceed)|out of storage/i,
    'mailbox-full',
  ],
  [/\b(?:dmarc|dkim|spf|arc)\b|unauthenticated|\bptr\b|reverse dns|\brdns\b/i, 'authentication'],
  [/\b(?:starttls|tls|tlsa|dane|mta-sts|certificate|encrypt(?:ed|ion))\b/i, 'tls'],
  [/virus|malware|phish|attachment|suspicious content|potential security issue/i, 'content'],
  [
    /spam|unsolicited|\bjunk\b|(?:block|black|deny) ?-?list|\bdnsb?l\b|\brbl\b|reputation|\bbanned\b|complaint/i,
    'spam',
  ],
  [
    /(?:no such|unknown|invalid|non-?existent) (?:local )?(?:user|recipient|mailbox|address|account)|(?:user|recipient|mailbox|account|address)(?: [a-z]+){0,2} (?:unknown|not (?:found|exist|known)|does(?: not|n't) exist)|recipientnotfound/i,
    'unknown-user',
  ],
  [/(?:account|mailbox|user) (?:[a-z]+ ){0,3}(?:disabled|inactive|suspended|deactivated)/i, 'mailbox-disabled'],
  [/too (?:large|big)|(?:message|size)[a-z ]* exceeds|maximum (?:message )?size/i, 'too-big'],
  [/too many hops|\bmail loop|\brouting loop/i, 'loop'],
  [/(?:domain|host) (?:[a-z]+ ){0,2}(?:not found|not resolve)|\bnxdomain\b/i, 'dns'],
]

function vagueStatus(code: number, status: string): ReplyClass | undefined {
  // Exchange Online says 5.4.1 of a recipient that its directory does not have.
  if (status === '4.1') return code < 500 ? 'connection' : 'unknown-user'
  // Microsoft's 4.7.5xx and 4.7.6xx: traffic that is not as usual.
  if (code < 500 && /^7\.[56]\d\d$/.test(status)) return 'rate-limit'
  if (code === 530) return 'login'
  return vagueStatuses.get(status)
}

const vagueStatuses: ReadonlyMap<string, ReplyClass> = new Map([
  ['1.3', 'unknown-user'],
  ['1.10', 'dns'],
  ['2.0', 'server'],
  ['2.1', 'mailbox-disabled'],
  ['4.0', 'connection'],
  ['4.5', 'rate-limit'],
  ['7.4', 'tls'],
  ['7.11', 'tls'],
])

const subjects: ReadonlyMap<string, ReplyClass> = new Map([
  ['3', 'server'],
  ['5', 'protocol'],
  ['6', 'content'],
  ['7', 'policy'],
])

const vagueCode: ReadonlyMap<number, ReplyClass> = new Map([
  [421, 'server'],
  [450, 'server'],
  [451, 'server'],
  [452, 'server'],
  [454, 'tls'],
  [500, 'protocol'],
  [501, 'protocol'],
  [502, 'protocol'],
  [503, 'protocol'],
  [504, 'protocol'],
  [552, 'mailbox-full'],
  [555, 'protocol'],
])
