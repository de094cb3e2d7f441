import type { Mailbox } from '../mail/address.ts'
import type { MessageEvent } from '../mail/event-names.ts'
import type { ListenerChoice } from './listener-choice.ts'
import type { BanRule, RateRule } from './rate-rules.ts'
import type { SessionRule } from './session-rules.ts'

/**
 * The one typed model both grammars of smtpd.conf and pipeline.conf are read into. Plain readonly data, frozen, printable
 * as JSON (`sluicectl config --json`); secrets are never in it, only the names of the files that hold them.
 */
export interface Configuration {
  /** First 12 hex digits of a hash over smtpd.conf, pipeline.conf and what they include; recorded on every decision. */
  readonly revision: string
  readonly hostname: string
  readonly listeners: readonly Listener[]
  /** `listen on socket`: the submission API, always there. */
  readonly socket: SocketListener
  readonly pkis: ReadonlyMap<string, Pki>
  readonly cas: ReadonlyMap<string, string>
  readonly tables: ReadonlyMap<string, Table>
  readonly actions: ReadonlyMap<string, Action>
  readonly rules: readonly Rule[]
  readonly queueTtlMs: number
  readonly maxMessageBytes: number
  readonly maxRecipients: number
  readonly maxMailsPerSession: number
  readonly subAddressDelimiter: string
  readonly bounceWarnMs: readonly number[]
  /** admd: the authserv-id of Authentication-Results. */
  readonly authservId: string
  /** `smtp ciphers`: default of listeners and relays, in OpenSSL's notation. */
  readonly ciphers?: string
  readonly limits: Limits
  /** Absent: no `srs key`. */
  readonly srs?: SrsSettings
  readonly atRest: AtRestSettings
  readonly pipeline: PipelineSettings
}

/** How records of the spool are written from now on; what is there is read whatever is said here. */
export interface AtRestSettings {
  /** `queue compression`, or `spool ... compression` of pipeline.conf. */
  readonly compression: boolean
  readonly encryption: boolean
  /** Of `queue encryption KEY`; used behind those of the key file. A secret: printed as "hidden". */
  readonly key?: string
}

/** `srs key`, `srs key backup` and `srs ttl`. The keys are secrets: printed as "hidden". */
export interface SrsSettings {
  /** Rewrites senders. */
  readonly key: string
  /** The key of before: addresses made with it are still known. */
  readonly backupKey?: string
  readonly ttlDays: number
}

/** Where a statement stands, for messages and `explain`. */
export interface Position {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** A table by name, or an inline one; a list or a map. Look-ups by kind are in tables.ts. */
export interface Table {
  readonly name: string
  readonly source:
    | { readonly kind: 'inline'; readonly list?: readonly string[]; readonly map?: ReadonlyMap<string, string> }
    /** `passwd`: lines `name:hash:uid:gid:gecos:home:shell`; `postfix`: what postmap and postalias read. */
    | { readonly kind: 'file'; readonly path: string; readonly format?: 'passwd' | 'postfix' }
    /** Networks or expressions in order, as Postfix writes them: the first that fits gives the value. */
    | { readonly kind: 'patterns'; readonly path: string; readonly format: 'cidr' | 'regexp' | 'pcre' }
    /** The same value for every key. */
    | { readonly kind: 'static'; readonly value: string }
    /** Variables of the environment whose name begins with the prefix; the rest of it is the key. */
    | { readonly kind: 'environment'; readonly prefix: string }
    /** A program that speaks the table protocol of OpenSMTPD, and the file it is told. */
    | { readonly kind: 'process'; readonly program: string; readonly config?: string }
    /** A server that is asked in a protocol of its own; `map`: which of its maps, of a socketmap. */
    | {
        readonly kind: 'server'
        readonly protocol: 'tcp' | 'socketmap' | 'dovecot'
        readonly place: SocketPlace
        readonly map?: string
      }
    /** A web server that is asked by GET; `%s` in the address is the key. */
    | { readonly kind: 'http'; readonly url: string }
    /** A server or a database; `config` is the file of its settings, which may hold a password. */
    | {
        readonly kind: 'backend'
        readonly backend: 'http' | 'ldap' | 'mysql' | 'postgres' | 'redis' | 'sqlite'
        readonly config: string
      }
    /** The mailboxes of an LMTP server, a socket's path or `host[:port]`; made for `users from lmtp`, never declared. */
    | { readonly kind: 'lmtp'; readonly destination: string; readonly helo: string }
  readonly at: Position
}

export interface Pki {
  readonly name: string
  readonly cert: string
  readonly key: string
  /** Ephemeral Diffie-Hellman with finite fields; with elliptic curves it is always there. */
  readonly dhe: 'none' | 'auto'
  readonly at: Position
}

export interface Listener {
  /** As written: interface, address or host name. */
  readonly on: string
  /** `socket` listens on nothing in containers: the submission API. */
  readonly family?: 4 | 6
  readonly port: number
  /** `none`, STARTTLS offered, STARTTLS demanded, implicit TLS. */
  readonly tls: 'none' | 'offered' | 'required' | 'implicit'
  readonly verifyClient: boolean
  readonly pkis: readonly string[]
  readonly ca?: string
  /** `required`: 530 before MAIL; `optional`: offered. Table of credentials, or the `login` of pipeline.conf. */
  readonly auth: { readonly kind: 'none' | 'required' | 'optional'; readonly table?: Table }
  readonly tag?: string
  readonly hostname?: string
  readonly maskSource: boolean
  readonly receivedAuth: boolean
  readonly noDsn: boolean
  /** Connections begin with a PROXY header, version 2; the address in it is the client's. */
  readonly proxy: boolean
  readonly senders?: { readonly table: Table; readonly masquerade: boolean }
  /** Name of this host by local address. */
  readonly hostnames?: Table
  /** As written, e.g. `TLSv1.2,TLSv1.3`; `tlsVersions` says what it means. */
  readonly protocols?: string
  /** In OpenSSL's notation; absent: `smtp ciphers`, else those of TLS itself. */
  readonly ciphers?: string
  /** In the order they are asked, chains resolved; absent: none. */
  readonly filters?: readonly Filter[]
  readonly at: Position
}

/** What a session is checked by while it runs (SMTPD_CONF section 9). */
export type Filter = BuiltinFilter | ProcessFilter

export type FilterPhase = 'connect' | 'helo' | 'ehlo' | 'auth' | 'mail-from' | 'rcpt-to' | 'data' | 'commit'

/** `filter N phase PH match [!] CONDITION DECISION`. */
export interface BuiltinFilter {
  readonly kind: 'builtin'
  readonly name: string
  readonly phase: FilterPhase
  readonly condition: FilterCondition
  readonly decision: FilterDecision
  readonly at: Position
}

export interface FilterCondition {
  readonly kind: 'fcrdns' | 'rdns' | 'src' | 'helo' | 'auth' | 'mail-from' | 'rcpt-to'
  readonly not: boolean
  readonly regex: boolean
  /** Absent: `fcrdns`, and any value of `rdns` and `auth`. */
  readonly table?: Table
}

export type FilterDecision =
  /** `text` begins with its code, 4xx or 5xx. */
  | { readonly kind: 'reject' | 'disconnect'; readonly text: string }
  | { readonly kind: 'rewrite'; readonly value: string }
  | { readonly kind: 'report'; readonly text: string }
  | { readonly kind: 'junk' | 'bypass' }

/** A program that speaks the filter protocol of OpenSMTPD. Filters with the same `process` share one. */
export interface ProcessFilter {
  readonly kind: 'process'
  readonly name: string
  readonly process: FilterProcess
  readonly at: Position
}

export interface FilterProcess {
  /** Of the proc, or of the filter with `proc-exec`. */
  readonly name: string
  /** For the shell. */
  readonly command: string
  /** Given up by root before the command runs; who is not root is told that it stays what it is. */
  readonly user?: string
  readonly group?: string
  readonly chroot?: string
  readonly at: Position
}

export interface SocketListener {
  readonly tag?: string
  readonly maskSource: boolean
  readonly noDsn: boolean
}

/** `mta`, `mda` and `scheduler` limits as written; what is not written is absent. Times in the unit of smtpd.conf, seconds. */
export interface Limits {
  readonly mta: ReadonlyMap<string, number>
  readonly mtaFamily?: 4 | 6
  /** `mta limit for domain`. */
  readonly mtaDomains: ReadonlyMap<string, { readonly limits: ReadonlyMap<string, number>; readonly family?: 4 | 6 }>
  readonly mtaMaxDeferred?: number
  readonly mda: ReadonlyMap<string, number>
  readonly scheduler: ReadonlyMap<string, number>
}

export type Action =
  | (LocalAction & { readonly name: string; readonly ttlMs?: number; readonly at: Position })
  | (RelayAction & { readonly name: string; readonly ttlMs?: number; readonly at: Position })

export interface LocalAction {
  readonly kind: 'local'
  readonly method:
    | { readonly kind: 'maildir'; readonly path: string; readonly junk: boolean }
    | { readonly kind: 'lmtp'; readonly destination: string; readonly rcptTo: boolean }
    | { readonly kind: 'mbox' }
    | { readonly kind: 'mda'; readonly command: string }
    | { readonly kind: 'forward-only' }
    | { readonly kind: 'expand-only' }
  readonly alias?: Table
  readonly virtual?: Table
  readonly userbase?: Table
  readonly user?: string
  readonly wrapper?: { readonly name: string; readonly command: string }
}

export interface RelayAction {
  readonly kind: 'relay'
  /** Smarthosts in turn (relay URLs), or a hop to a queue when the URL is `queue://NAME`. Absent: MX of the recipient's domain. */
  readonly host?: Table
  /** The hosts are tried as they stand, not in turn: `secure://` of the old grammar, TLS from the start and else STARTTLS. */
  readonly hostsInOrder?: true
  readonly domain?: Table
  readonly auth?: Table
  /** `tls`: STARTTLS demanded and verified; `no-verify` without the check. */
  readonly tls?: 'verify' | 'no-verify'
  readonly helo?: string
  readonly heloSrc?: Table
  readonly src?: Table
  /** Takes the place of the sender: an address, or of the old grammar `user` or `@domain` for that half. */
  readonly mailFrom?: string
  readonly backup?: { readonly mx?: string }
  readonly pki?: string
  readonly ca?: string
  readonly protocols?: string
  readonly ciphers?: string
  readonly srs: boolean
}

/** One condition of a rule; absent conditions hold. Defaults (from local, for local) are written out by the parser. */
export type Condition =
  | {
      readonly kind: 'from-any' | 'from-local' | 'from-socket' | 'for-any' | 'for-local' | 'tls'
      readonly not: boolean
      /** Old grammar, `from`: an authenticated client stands for this host, wherever it connects from. */
      readonly authenticatedIsLocal?: true
    }
  | {
      readonly kind: 'from-src' | 'from-rdns' | 'for-domain' | 'tag' | 'helo' | 'auth' | 'mail-from' | 'rcpt-to'
      readonly not: boolean
      readonly regex: boolean
      /** Absent: any value (`auth`, `from rdns`). */
      readonly table?: Table
      readonly authenticatedIsLocal?: true
      /** Old grammar, `tagged`: upper and lower case differ. */
      readonly caseSensitive?: true
    }

export interface Rule {
  readonly at: Position
  /** The statement as written, for `explain`. */
  readonly text: string
  readonly conditions: readonly Condition[]
  readonly decision: { readonly kind: 'action'; readonly name: string } | { readonly kind: 'reject' }
}

export interface DashboardSettings {
  readonly host: string
  readonly port: number
  /** Who may sign in: `hash` or `role:hash` by name. Absent: it listens on loopback only, and nobody can change a thing. */
  readonly operators?: Table
  /** Who may use the API, by name: `scopes:digest`. */
  readonly tokens?: Table
  /** Nobody can change a thing, whatever his role. */
  readonly readOnly: boolean
  /** Where readers of our mail reach it, without a slash at the end. */
  readonly url?: string
}

/** `notify`: who is told of mail that should not have been sent. */
export interface NoticeSettings {
  readonly admins: readonly AdminNotice[]
  /** Users whose mail has a broken header are told, each at most so often; absent: nobody. */
  readonly badHeader?: NoticeLimit
}

export interface AdminNotice {
  readonly to: Mailbox
  readonly of: readonly ('virus' | 'spam' | 'banned')[]
  /** Of mail with this tag; absent: of mail of users who have signed in. */
  readonly tag?: string
  /** Beyond it only the number is told. */
  readonly limit: NoticeLimit
}

export interface NoticeLimit {
  readonly count: number
  readonly periodMs: number
}

/** `report`: aggregate reports to the domains that ask for them; of a kind that is absent nothing is collected. */
export interface AggregateReportSettings {
  /** RFC 7489 §7.2 */
  readonly dmarc?: ReportSender
  /** RFC 8460 */
  readonly tls?: ReportSender
}

export interface ReportSender {
  readonly from: Mailbox
  /** Absent: the hostname. */
  readonly organisation?: string
}

/** `webhook`: events about messages are posted there. */
export interface WebhookSetting {
  readonly url: string
  readonly events: readonly MessageEvent[]
  /** What the signature is made with. */
  readonly secretFile: string
}

/** `traces`: OpenTelemetry. What is absent is left to its standard variables. */
export interface TraceSettings {
  /** Of the collector, without `/v1/traces`; absent: OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url?: string
  /** Share of the traces that is recorded, 0 to 1; absent: OTEL_TRACES_SAMPLER, else all. */
  readonly sample?: number
  /** Addresses of people, and what remote hosts said, are told too. */
  readonly withAddresses: boolean
}

/** `quarantine digest`: mail about what was newly kept back. */
export interface DigestSettings {
  readonly everyMs: number
  /** At this minute of the day, as the clock on the wall says; `everyMs` is whole days then. */
  readonly atMinute?: number
  /** Each recipient of this host about his own mail, or one address about all of it. */
  readonly to: 'recipients' | Mailbox
}

/** A bucket that holds the spool. */
export interface BucketSettings {
  /** As it was written. */
  readonly url: string
  /** `https://s3.example.org`; absent: AWS. */
  readonly endpoint?: string
  readonly bucket: string
  /** Begins every key; empty, or with a slash at its end. */
  readonly prefix: string
  /** Absent: AWS_REGION says, or it is us-east-1. */
  readonly region?: string
  /** Of objects kept on this host. */
  readonly cacheBytes: number
  /** Absent: `spool-cache` in the data folder. */
  readonly cachePath?: string
}

/** What pipeline.conf holds; every line optional, defaults written out. */
export interface PipelineSettings {
  readonly redis?: {
    readonly url: string
    readonly passwordFile?: string
    /** Of the Sentinels themselves. */
    readonly sentinelPasswordFile?: string
    readonly prefix: string
  }
  readonly spool?: {
    /** Its folder; absent for a bucket. */
    readonly path?: string
    readonly bucket?: BucketSettings
    readonly compression: boolean
    readonly quotaBytes?: number
    /** Keys, one a line; the first one encrypts, all of them decrypt. */
    readonly keyFile?: string
  }
  readonly dashboard: DashboardSettings
  readonly metrics?: { readonly host: string; readonly port: number }
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  /** By name; `filter`, `sign`, `deliver`, `relay` are always there. */
  readonly queues: ReadonlyMap<string, QueueSettings>
  readonly dkim: readonly DkimKey[]
  /** Mail of ours is encoded for 7-bit transport before it is signed. */
  readonly dkimSevenBit: boolean
  /** Seals mail of others that leaves through the signer (RFC 8617). */
  readonly arcSeal?: DkimKey
  /** Which checks are stamped into Authentication-Results. */
  readonly authResults: readonly ('spf' | 'dkim' | 'dmarc' | 'arc')[]
  readonly authentication: {
    /** Shortest RSA key whose DKIM signature proves something. */
    readonly minKeyBits: number
    /** Domains whose ARC seal is believed against a failed DMARC. */
    readonly trustedSealers?: Table
  }
  readonly spam: SpamThresholds & {
    readonly header: string
    readonly subject?: string
    /** Junk is delivered attached to a report. */
    readonly reportSafe: boolean
    /** The first that fits a recipient holds for it; what it does not state is as above. */
    readonly policies: readonly SpamPolicy[]
    /** Whose scores count, each kind once. */
    readonly engines: readonly SpamEngine[]
    /** Mail that is not looked through for spam. */
    readonly clean: readonly SpamCondition[]
    /** Mail that is spam without a look, unless it is clean by one of those. */
    readonly blocked: readonly BlockedCondition[]
    /** Who is on one of them gets its score. */
    readonly lists: readonly SpamList[]
  }
  /** The first that fits a message holds for it; none: each engine looks at what it is meant for. */
  readonly enginePolicies: readonly EnginePolicy[]
  /** Absent: any file may be attached. */
  readonly banned?: BannedSettings
  /** Absent: nobody looks for viruses. */
  readonly virus?: VirusSettings
  /** Mail that a filter keeps back is discarded after `keepMs`; absent: it stays until somebody releases or removes it. */
  readonly quarantine: { readonly keepMs?: number; readonly digest?: DigestSettings }
  /** How long, and up to which size on disk, the journal and the message store are kept, and in which database. */
  readonly events: {
    readonly keepMs: number
    readonly maxBytes?: number
    readonly store: EventStoreSetting
    /** Subjects are written down, and found by search. */
    readonly subjects?: true
    /** What clients and this host said in SMTP is written down with each message. */
    readonly smtpTalk?: true
  }
  /**
   * How long after its end, and up to which size together, a message stays in the spool so that it can go again, and what it was at each stage in
   * the journal; absent: no longer than the spool itself needs it.
   */
  readonly replay: { readonly keepMs?: number; readonly maxBytes?: number }
  /** Reports on DMARC and TLS that come to the queue `reports`. `mail`: what becomes of mail whose reports are kept. */
  readonly receivedReports: { readonly keepMs: number; readonly mail: 'pass' | 'discard' }
  readonly notices: NoticeSettings
  readonly aggregateReports: AggregateReportSettings
  /** Each URL once. */
  readonly webhooks: readonly WebhookSetting[]
  /** Absent: no traces, unless OTEL_EXPORTER_OTLP_ENDPOINT is set. */
  readonly traces?: TraceSettings
  /** Sources are asked in order, the first that knows the user counts. */
  readonly users:
    | UserSource
    | {
        readonly kind: 'sources'
        readonly sources: readonly UserSource[]
        /** Who is in a table must have a mailbox on the LMTP server of the action, too. */
        readonly verifiesMailbox: boolean
      }
  /** `mbox`: the folder with one mailbox file for each user; absent: no action may use `mbox`. */
  readonly mailboxes?: string
  /** Whether delivery may run commands: `mda`, `|command` of an alias. */
  readonly mda: { readonly enabled: boolean }
  /** `forward files`: the folder of the homes whose `.forward` is read; absent: none is. */
  readonly forwardFiles?: string
  /** How filter processes of smtpd.conf are run, by name of the proc or filter; others have the defaults. */
  readonly filters: ReadonlyMap<string, FilterProcessSettings>
  /** `filter before-accept`; empty: mail is filtered once it is accepted. */
  readonly beforeAccept: readonly BeforeAcceptRule[]
  /** `strangers may relay`; empty: who starts an open relay is told so, and it does not start. */
  readonly strangersRelay: readonly StrangersRelayRule[]
  /** Who knows users and passwords for `auth` without a table: the first that accepts lets in; empty: nobody does. */
  readonly login: readonly LoginSetting[]
  /** How sessions are led and limited: `limit`, `greeting`, `banner` and others, as written. */
  readonly sessions: readonly SessionRule[]
  readonly auth: AuthSettings
  /** Absent: certificates are not ordered. */
  readonly acme?: AcmeSettings
  readonly rates: readonly RateRule[]
  readonly bans: readonly BanRule[]
  /** `header match`, in order. */
  readonly headerRules: readonly HeaderRule[]
  readonly contentRules: ContentRules
  /** `restrict`, in order. */
  readonly restrictions: readonly Restriction[]
  /** `restrict delay`: what connect, helo and mail refuse is told at RCPT; else at their own stage. */
  readonly delayRefusals: boolean
  /** `canonical`, `masquerade`, `append-domain`, `complete-addresses`. */
  readonly rewriting: RewritingSettings
  /** `quota status`; absent: full mailboxes are known at delivery. */
  readonly quotaStatus?: QuotaStatusSettings
  /** Who has moved where: refused at RCPT with the new address. */
  readonly relocated?: Table
  /** DNS servers `address[:port]`; empty: the system's. */
  readonly resolvers: readonly string[]
  /** Those of them that check signatures (DNSSEC), by a way that is trusted. */
  readonly validatingResolvers: readonly string[]
  /** Networks of balancers whose PROXY header is believed; empty: nobody's. */
  readonly trustedProxies: readonly string[]
  readonly extensions: ExtensionSettings
  readonly interfaces: ReadonlyMap<string, string>
  /** Content filters that speak SMTP, in place of the queue that answers at their address. */
  readonly externals: readonly ExternalFilter[]
  readonly sockets: ReadonlyMap<string, string>
  readonly tlsMinimum: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'
  /** File of the authorities that certificates on the way out are checked with; absent: those that come with Node. */
  readonly tlsCa?: string
  /**
   * Policies of the domains that mail goes to (RFC 8461). `opportunistic`: those that are published hold; `testing`: what they would keep
   * back is told and goes. `port`: of policy hosts.
   */
  readonly mtaSts: { readonly mode: 'off' | 'testing' | 'opportunistic'; readonly port: number }
  /** TLSA records of the hosts that mail goes to (RFC 7672). `opportunistic`: those that are there hold. */
  readonly dane: 'off' | 'opportunistic'
  /** Port of remote MTAs; 25 but in tests. */
  readonly relayPort: number
  readonly relayEightBit: EightBitRule
  readonly lanes: Lanes
  /** `bounces limit`: how many reports go to one address, and to one domain; absent: any number. */
  readonly bounces: { readonly address?: Rate; readonly domain?: Rate }
  /** `mailbox full`. */
  readonly fullMailbox: FullMailboxRule
}

/**
 * What a mailbox without room means at delivery. `as-said`: what its server says, and later where a disk quota says so; `temporary`: later,
 * whatever was said, and with `forMs` never from that age of the message on; `permanent`: never.
 */
export interface FullMailboxRule {
  readonly kind: 'as-said' | 'temporary' | 'permanent'
  readonly forMs?: number
}

/**
 * `lane`: how mail goes out to a destination, over all relay processes: to a smarthost, or to a group of domains whose MX are the same hosts.
 */
export interface Lanes {
  readonly default: LaneSettings
  /** By a pattern that the names of all its MX fit, `*.example.net` or a name; the first that fits counts. */
  readonly mx: ReadonlyMap<string, LaneSettings>
  /** By domain or smarthost in lower case and A-labels; what is not written is as in `default`. Such a domain is in no group. */
  readonly domains: ReadonlyMap<string, LaneSettings>
}

export interface LaneSettings {
  /** How long a destination that asks for less is left alone: doubled each time. Absent only in `domains`. */
  readonly backOff?: 'off' | { readonly firstMs: number; readonly longestMs: number }
  /** How many messages may be at work for it; absent: `max-conn-per-domain` of smtpd.conf. */
  readonly concurrency?: number
  /** At most so many attempts, and recipients in them. */
  readonly messages?: Rate
  readonly recipients?: Rate
}

export interface Rate {
  readonly count: number
  readonly periodMs: number
}

/**
 * What happens to octets beyond ASCII at a host without 8BITMIME (RFC 6152 §3). `convert`: they are encoded, but for signed messages,
 * which go as they are; `convert-signed`: those as well; `unchanged`: all go as they are; `return`: to the sender.
 */
export type EightBitRule = 'convert' | 'convert-signed' | 'unchanged' | 'return'

/** Extensions of SMTP that listeners offer. */
export interface ExtensionSettings {
  /** RFC 6531: addresses and header fields in UTF-8. */
  readonly smtpUtf8: boolean
  /** How long users may have a message kept back (RFC 4865); absent: not at all. */
  readonly maxHoldMs?: number
  /** Networks of clients that may ask for a queue run (ETRN, RFC 1985); absent: nobody. */
  readonly etrn?: Table
  /** Networks of clients that are told who is on a list (EXPN, RFC 5321); absent: nobody. */
  readonly expn?: Table
  /** Networks of clients whose XCLIENT is believed; absent: nobody's. */
  readonly trustedClients?: readonly string[]
  /** Networks of content filters whose XFORWARD is believed; absent: nobody's. */
  readonly trustedFilters?: readonly string[]
}

export type UserSource =
  /** Who the LMTP server of an action says there is; for other actions anybody, unless there are other sources. */
  | { readonly kind: 'lmtp' }
  | { readonly kind: 'any' }
  | { readonly kind: 'table'; readonly table: Table }
  | { readonly kind: 'passwd'; readonly file: string }

/** How addresses of mail that comes in are written anew, in the envelope and in the header. */
export interface RewritingSettings {
  /** In order. */
  readonly canonical: readonly CanonicalRule[]
  readonly masquerade?: MasqueradeSettings
  /** Domain of addresses without one; absent: the listener's host name, and header fields stay as they are. */
  readonly appendDomain?: string
  /** Whether own users may leave the domain out. */
  readonly completeAddresses: boolean
}

/** `canonical`: another address in place of the one that the table knows. */
export interface CanonicalRule {
  readonly of: 'sender' | 'recipient' | 'both'
  readonly table: Table
  readonly in: 'envelope' | 'headers' | 'both'
  readonly clients: RewrittenClients
}

/** Whose header fields are rewritten: of mail from this host and from users who have logged in, or of all mail. */
export type RewrittenClients = 'local' | 'any'

/** `masquerade domains`: hosts below a domain are not shown in addresses. */
export interface MasqueradeSettings {
  /** The first that an address is in or below decides; `hide: false`: it stays. In lower case. */
  readonly domains: readonly { readonly name: string; readonly hide: boolean }[]
  /** Users whose address stays. */
  readonly except?: Table
  readonly clients: RewrittenClients
}

/** A policy service of Postfix's protocol that is asked at RCPT whether a mailbox has room. */
export interface QuotaStatusSettings {
  readonly place: SocketPlace
  /** For one answer. */
  readonly timeoutMs: number
  /** While it cannot answer: 451, or on without it. */
  readonly onFailure: 'tempfail' | 'proceed'
}

/** `filter before-accept`: on these listeners clients wait for the filter's decision. What is said of some wins over what is said of all. */
export interface BeforeAcceptRule {
  readonly at: Position
  /** Absent: all listeners. */
  readonly for?: ListenerChoice
  /** From the end of DATA; then the message is accepted, and filtered from the queue. */
  readonly deadlineMs: number
}

/** `strangers may relay`: on these listeners the rules let anybody send anywhere, and somebody wants it so. */
export interface StrangersRelayRule {
  readonly at: Position
  /** Absent: all listeners. */
  readonly for?: ListenerChoice
}

/** `header match`: for fields that the expression matches, on one line. */
export interface HeaderRule {
  readonly at: Position
  /** Absent: mail of all listeners. */
  readonly for?: ListenerChoice
  readonly expression: string
  readonly action: HeaderAction
}

export type HeaderAction =
  | { readonly kind: 'ignore' }
  | { readonly kind: 'prepend' | 'replace'; readonly field: string }
  /** `reject`: begins with its code, 4xx or 5xx. */
  | { readonly kind: 'warn' | 'reject'; readonly text: string }
  /** Accepted, and kept for an operator, or thrown away. */
  | { readonly kind: 'hold' | 'discard'; readonly reason: string }
  /** Accepted for this address alone. */
  | { readonly kind: 'redirect'; readonly mailbox: Mailbox }

/** What is looked for behind the header of the message, each in order. */
export interface ContentRules {
  /** `mime-header match`: fields of parts, and in any header those of MIME. */
  readonly mimeHeader: readonly HeaderRule[]
  /** `nested-header match`: the other fields of attached messages. */
  readonly nestedHeader: readonly HeaderRule[]
  /** `body match` */
  readonly body: readonly BodyRule[]
  /** `body limit`: octets of each part whose lines are looked at. */
  readonly bodyBytes: number
}

/** `body match`: for lines that the expression matches, as they are sent. */
export interface BodyRule extends Omit<HeaderRule, 'action'> {
  readonly action: BodyAction
}

export type BodyAction =
  | Exclude<HeaderAction, { readonly field: string }>
  | { readonly kind: 'prepend' | 'replace'; readonly line: string }

/** `restrict`: one step of the list of its stage; the first that decides ends the list. */
export interface Restriction {
  readonly stage: RestrictionStage
  /** Absent: every listener. */
  readonly for?: ListenerChoice
  readonly rule: RestrictionRule
  /** As written, on one line. */
  readonly text: string
  readonly at: Position
}

export type RestrictionStage = 'connect' | 'helo' | 'mail' | 'rcpt' | 'data'

export type RestrictionSubject = 'client' | 'helo' | 'sender' | 'recipient'

/** Of an access table; `certificate`: its fingerprint. */
export type AccessSubject = RestrictionSubject | 'certificate'

export type RestrictionRule =
  | { readonly kind: 'permit'; readonly when?: RestrictionCondition }
  /** `reject` and `defer` with a text of their own, which begins with its code. */
  | { readonly kind: 'reply'; readonly reply: string; readonly when?: RestrictionCondition }
  /** An access table: its value says what to do. */
  | { readonly kind: 'check'; readonly subject: AccessSubject; readonly table: Table }
  | DnsblRule
  | { readonly kind: 'dnsbl-score'; readonly atLeast: number }
  | { readonly kind: 'client'; readonly fault: 'unknown' | 'unnamed' }
  | { readonly kind: 'helo'; readonly fault: 'invalid' | 'non-fqdn' | 'unknown' }
  | { readonly kind: 'sender' | 'recipient'; readonly fault: 'non-fqdn' | 'unknown-domain' | 'unlisted' }
  | { readonly kind: 'unauthorised-destination' | 'pipelining' | 'plaintext' }
  | { readonly kind: 'sleep'; readonly ms: number }
  | GreylistRule

/** A list that DNS has, by address or by domain. */
export interface DnsblRule {
  readonly kind: 'dnsbl'
  readonly zone: string
  /** Whose domain is looked up; absent: the address of the client. */
  readonly of?: 'client' | 'helo' | 'sender'
  /** Which A records count, as networks; absent: all of 127/8 but 127.255.255/24. */
  readonly answers?: Table
  /** With a score it refuses nothing by itself. */
  readonly score?: number
}

/** `defer greylist`: mail of strangers is taken at a later attempt. */
export interface GreylistRule {
  readonly kind: 'greylist'
  /** From the first attempt until one is let in. */
  readonly delayMs: number
  /** From the first attempt until it is forgotten. */
  readonly retryMs: number
  /** From the last mail of a network until it is a stranger again. */
  readonly keepMs: number
  /** Addresses that count as one client. */
  readonly ipv4Bits: number
  readonly ipv6Bits: number
  /** Whom SPF proves does not wait. */
  readonly exceptSpf: boolean
}

export type RestrictionCondition =
  | { readonly kind: 'authenticated' | 'own-addresses' }
  /** The client proved a certificate that an authority signed. */
  | { readonly kind: 'certificate' }
  /** One with this fingerprint (SHA-256), or one that an authority signed and that has such a name. */
  | { readonly kind: 'certificate-table'; readonly part: 'fingerprint' | 'name'; readonly table: Table }
  | { readonly kind: 'table'; readonly subject: RestrictionSubject; readonly table: Table }

export interface ExternalFilter {
  /** As smtpd.conf relays to it: `smtp://localhost:10024`. */
  readonly url: string
  /** Where it really is. */
  readonly host: string
  readonly port: number
  readonly at: Position
}

export interface FilterProcessSettings {
  /** The version of the filter protocol it was written for. */
  readonly protocol: '0.4' | '0.5' | '0.6' | '0.7'
  /** For the answer to one question. */
  readonly timeoutMs: number
  /** While it cannot answer: 451, or on without it. */
  readonly onFailure: 'tempfail' | 'proceed'
}

export type SpamEngine = BuiltinEngine | SpamScannerEngine | RspamdEngine | SpamAssassinEngine

/** `spam list client|links "zone"`: a list in DNS of addresses of clients, or of domains that are linked to. */
export interface SpamList {
  readonly of: 'client' | 'links'
  readonly zone: string
  /** Which of its answers count; absent: all of 127/8 but 127.255.255/24. */
  readonly answers?: Table
  readonly score: number
}

/** SPF, DKIM, DMARC, ARC, the classifier and the test text GTUBE. */
export interface BuiltinEngine {
  readonly kind: 'builtin'
  /** Its score counts so many times. */
  readonly weight: number
  /** Whether the words of a message are judged. */
  readonly classifier: boolean
}

/** The sound checks of the package spamscanner, in threads of this process. */
export interface SpamScannerEngine {
  readonly kind: 'spamscanner'
  readonly weight: number
}

interface RemoteEngine {
  readonly weight: number
  readonly timeoutMs: number
  /** When it does not answer: the message waits, or goes on without its score. */
  readonly onFailure: 'defer' | 'proceed'
}

export interface RspamdEngine extends RemoteEngine {
  readonly kind: 'rspamd'
  /** Of its normal worker, without `/checkv2`. */
  readonly url: string
  /** What its own thresholds demand happens too, or only its score counts. */
  readonly actions: 'obey' | 'ignore'
}

export interface SpamAssassinEngine extends RemoteEngine {
  readonly kind: 'spamassassin'
  /** Of spamd. */
  readonly place: SocketPlace
}

export type SpamAction = 'junk' | 'quarantine' | 'reject' | 'discard'

/** From that score on this happens; absent: never. */
export type SpamThresholds = { readonly [action in SpamAction]?: number }

export type SpamPolicy = { readonly [action in SpamAction]?: number | 'never' } & {
  readonly for:
    | { readonly kind: 'tag'; readonly tag: string }
    /** `domain`: of the recipient; `recipient`: his mailbox. */
    | { readonly kind: 'domain' | 'recipient'; readonly table: Table }
  readonly subject?: string
}

/** What looks at a message; `builtin`: the classifier and the test text GTUBE. SPF, DKIM, DMARC and ARC look at strangers' mail always. */
export type EngineName = 'builtin' | 'rspamd' | 'spamassassin' | 'spamscanner' | 'lists' | 'banned' | 'virus'

/** `engines for`: who looks at this mail, and nobody else; mail of own users too, which engines for spam leave alone by themselves. */
export interface EnginePolicy {
  readonly for:
    | { readonly kind: 'tag'; readonly tag: string }
    /** The client's address. */
    | { readonly kind: 'src'; readonly table: Table }
  readonly engines: readonly EngineName[]
}

export type SpamCondition =
  | { readonly kind: 'tag'; readonly tag: string }
  /** `src`: the client's address; `mail-from`: the reverse-path, when SPF proves it. */
  | { readonly kind: 'src' | 'mail-from'; readonly table: Table }

export type BlockedCondition =
  | SpamCondition
  /** Holds when all recipients are in it. */
  | { readonly kind: 'rcpt-to'; readonly table: Table }

export type LoginSetting =
  | { readonly kind: 'table'; readonly table: Table }
  /** The auth service of Dovecot, by its auth-client socket. */
  | { readonly kind: 'dovecot'; readonly place: SocketPlace }
  /** A service of one's own that is told user and password. */
  | { readonly kind: 'http'; readonly url: string; readonly secretFile?: string; readonly timeoutMs: number }
  | OAuthSetting

/** Tokens of OAuth 2, asked of the server that gave them out (RFC 7662). */
export interface OAuthSetting {
  readonly kind: 'oauth'
  readonly introspectUrl: string
  readonly client?: { readonly id: string; readonly secretFile: string }
  /** The field of the answer that has the user's name. */
  readonly userField: string
  /** The token must have been given for this. */
  readonly scope?: string
  readonly timeoutMs: number
}

export type SaslMechanism = 'PLAIN' | 'LOGIN' | 'SCRAM-SHA-256' | 'OAUTHBEARER' | 'XOAUTH2'

/** A certificate that is ordered and renewed (RFC 8555). Both files are made, and named by a `pki` too. */
export interface AcmeSettings {
  /** URL. */
  readonly directory: string
  readonly email: string
  readonly domains: readonly string[]
  readonly certFile: string
  readonly keyFile: string
  readonly challenge:
    | { readonly kind: 'http'; readonly host: string; readonly port: number }
    /** A program that sets a TXT record. */
    | { readonly kind: 'dns'; readonly hook: string }
}

export interface AuthSettings {
  /** In the order they are offered. */
  readonly mechanisms: readonly SaslMechanism[]
  /** AUTH is offered and taken in clear, too. */
  readonly withoutTls: boolean
}

/** Where a server of this host or another one listens. */
/** SQLite lies beside the journal; a PostgreSQL is for several hosts. */
export type EventStoreSetting =
  | { readonly kind: 'sqlite' }
  | {
      readonly kind: 'postgresql'
      readonly place: SocketPlace
      readonly user: string
      readonly database: string
      readonly passwordFile?: string
      /** Absent: plain text. Without `caFile` the well-known authorities. */
      readonly tls?: { readonly caFile?: string }
    }

export type SocketPlace =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface BannedSettings {
  /** The first for a tag of the message holds, or that without one, for strangers' mail. */
  readonly policies: readonly BannedPolicy[]
  readonly limits: {
    /** Archives in each other. */
    readonly depth: number
    /** In the archives of one message. */
    readonly files: number
    /** Of the archives of one message. */
    readonly unpackedBytes: number
  }
}

/** `tag`: delivered as junk. */
export type BannedAction = 'reject' | 'quarantine' | 'discard' | 'tag'

export interface BannedPolicy {
  readonly tag?: string
  /** Names with `*` and `?`, types with `/`; `default`: programs and scripts. */
  readonly files: Table | 'default' | 'any'
  readonly found: BannedAction
  /** Documents with macros. */
  readonly macros: BannedAction | 'pass'
  /** Archives and documents that need a password. */
  readonly encrypted: BannedAction | 'pass'
  /** Archives that are packed in a way that is not known here, or damaged. */
  readonly unreadable: BannedAction | 'pass'
}

export interface VirusSettings {
  readonly clamd: SocketPlace
  readonly timeoutMs: number
  /** `tag`: marked, delivered as junk. */
  readonly infected: 'reject' | 'quarantine' | 'discard' | 'tag'
  readonly onFailure: 'defer' | 'proceed'
  /** The first that fits a message holds for it. */
  readonly policies: readonly { readonly tag: string; readonly infected: VirusSettings['infected'] }[]
}

export interface QueueSettings {
  readonly name: string
  /** The tag a message comes back with. */
  readonly tag: string
  /** The old grammar's relay URL that means this queue, e.g. `smtp://localhost:10024`. */
  readonly answers?: string
  readonly concurrency: number
  readonly timeoutMs: number
  readonly onFailure: 'defer' | 'proceed'
  /** A failure of the stage itself at this attempt or later holds the message for an operator; absent: tried until its ttl is over. */
  readonly attempts?: number
  /** When the oldest message has waited for longer, the dashboard shows the queue in red. Nothing else follows from it. */
  readonly targetMs: number
}

export interface DkimKey {
  /** Domain it signs for, or `*` with `same-domain`. */
  readonly domain: string
  readonly selector: string
  readonly keyFile: string
  readonly canonicalization: string
  readonly expireMs?: number
}
