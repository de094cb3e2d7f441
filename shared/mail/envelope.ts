import type { Mailbox, ReversePath } from './address.ts'
import { isAscii } from './ascii-domain.ts'
import type { MessageId } from './message-id.ts'
import type { Tag } from './tag.ts'

/** RFC 3461 §4.1; `never` stands alone. */
export type Notify = 'never' | 'success' | 'failure' | 'delay'

/** What an alias or a `.forward` file of this host says to do with a copy, instead of delivering it as the action does. */
export interface LocalTarget {
  /** `command`: run with the copy on its stdin; `file`: an mbox file it is appended to. */
  readonly kind: 'command' | 'file'
  /** The command, or the absolute path. */
  readonly text: string
  /** Whose `.forward` says so, and as whom it is done; absent: an alias does. */
  readonly user?: string
}

/** Where an operator sends a copy in place of where the rules relay it: to a host, by the rule's action, or by another action. */
export type RelayOrder =
  | { readonly kind: 'host'; readonly url: string }
  | { readonly kind: 'action'; readonly name: string }

/** One recipient, in the order of the envelope; its index there is its name everywhere (jobs, outcomes). */
export interface Recipient {
  /** Where the copy goes (after expansion). */
  readonly mailbox: Mailbox
  /** The forward-path as the client gave it, when expansion changed it. */
  readonly original?: Mailbox
  /** Set by expansion only, never by what a client says. */
  readonly target?: LocalTarget
  /** ORCPT in its xtext form, e.g. `rfc822;jane@example.org` (RFC 3461 §4.2). */
  readonly orcpt?: string
  readonly notify?: readonly Notify[]
  /** One of several that `original` leads to, whose success the sender wants to hear of: he is told that it was expanded, once. */
  readonly expanded?: true
  /** Of an operator, from the outcome log; in no record of a message. */
  readonly order?: RelayOrder
  /** `original` is whom the sender named, and an operator named another: no alias forwards it. */
  readonly readdressed?: true
}

/** DSN parameters of MAIL (RFC 3461 §4.3, §4.4). */
export interface DsnRequest {
  readonly ret?: 'full' | 'hdrs'
  /** In xtext form. */
  readonly envid?: string
}

/** What a content filter in front says of the client a message first came from (XFORWARD): it is recorded, and decides nothing. */
export interface Upstream {
  /** Name by DNS. */
  readonly name?: string
  readonly address?: string
  readonly port?: number
  readonly helo?: string
  /** ESMTP, or what it came by. */
  readonly protocol?: string
  /** Its id at the host that took it. */
  readonly ident?: string
  /** `local`: from that host itself. */
  readonly source?: 'local' | 'remote'
}

/** Where a message came from; what rules test as from, helo, auth and tls. */
export interface Origin {
  /** `local`: made here (a bounce, sluicectl send); else an SMTP session. */
  readonly kind: 'local' | 'smtp'
  /** The one effective client address, without brackets; absent for `local`. */
  readonly address?: string
  readonly port?: number
  /** The listener is one on loopback: its clients stand for this host, whatever their address here. */
  readonly thisHost?: true
  /** Name of the listener, e.g. `127.0.0.1:2525`. */
  readonly listener?: string
  readonly helo?: string
  /** Verified name of the client (PTR and forward agree). */
  readonly rdns?: string
  /** Authenticated user name. */
  readonly user?: string
  readonly tls?: { readonly version: string; readonly cipher: string }
  /** The client is a content filter, and the message came to it from there. */
  readonly upstream?: Upstream
}

export interface Envelope {
  readonly id: MessageId
  readonly reversePath: ReversePath
  readonly recipients: readonly Recipient[]
  readonly tags: readonly Tag[]
  readonly origin: Origin
  /** Epoch ms of acceptance; retries and expiry count from here. */
  readonly receivedAt: number
  readonly dsn?: DsnRequest
  /** The client used SMTPUTF8 (RFC 6531). */
  readonly smtputf8?: boolean
  /** BODY=8BITMIME was given (RFC 6152). */
  readonly eightBit?: boolean
  /** Goes on only over verified TLS to hosts that keep this promise too (RFC 8689). */
  readonly requireTls?: boolean
  /** Epoch ms before which nothing is done with it (FUTURERELEASE, RFC 4865). */
  readonly releaseAt?: number
  /** The span that its trace goes on from (W3C traceparent), when it is recorded; made here, never read from a header. */
  readonly trace?: string
}

/** Of a message made here, a report or a notice, that nobody can bounce (RFC 5321 §4.5.5). */
export function noticeEnvelope(id: MessageId, to: Mailbox, nowAt: number): Envelope {
  return {
    id,
    reversePath: null,
    recipients: [{ mailbox: to }],
    // Its To field and its parts are in UTF-8 then (RFC 6533).
    ...(isAscii(to) ? {} : { smtputf8: true, eightBit: true }),
    tags: [],
    origin: { kind: 'local' },
    receivedAt: nowAt,
  }
}

/** Epoch ms from which attempts, warnings and expiry count. */
export function dueAt({ receivedAt, releaseAt }: Pick<Envelope, 'receivedAt' | 'releaseAt'>): number {
  return Math.max(receivedAt, releaseAt ?? receivedAt)
}

/** The same for two copies that would end in the same place. */
export function copyKey({ mailbox, target }: Pick<Recipient, 'mailbox' | 'target'>): string {
  return target === undefined ? mailbox : `${mailbox} ${target.kind} ${target.user ?? ''} ${target.text}`
}

/** One line of it, in the log and on the page of a message: `mail.example.net[192.0.2.7]:4711 helo x by ESMTP as ABC`. */
export function formatUpstream({ name, address, port, helo, protocol, ident, source }: Upstream): string {
  const client = `${name ?? 'unknown'}[${address ?? 'unknown'}]${port === undefined ? '' : `:${port}`}`
  const words = [
    [source === 'local' ? 'local' : '', client],
    ['helo', helo],
    ['by', protocol],
    ['as', ident],
  ]
  return words.flatMap(([word, value]) => (value === undefined ? [] : [`${word} ${value}`.trim()])).join(' ')
}
