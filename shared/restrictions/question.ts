import type { FilterTally } from '../filter-tally/tally.ts'
import type { Restriction } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import type { Logger } from '../log.ts'
import type { Mailbox, ReversePath } from '../mail/address.ts'
import type { Reply } from '../mail/reply.ts'
import type { Greylist } from '../queue/greylist.ts'
import type { ClientName } from '../client-name.ts'
import type { Dns } from './dns.ts'

/** A path of MAIL or RCPT. */
export interface SaidPath {
  /** As the client wrote it, without brackets. */
  readonly text: string
  /** `null` for `<>`. */
  readonly mailbox: ReversePath
  /** It was said without a domain; `mailbox` has ours. */
  readonly bare: boolean
}

/** What the rules say to a recipient. */
export type Resolution = { readonly kind: 'accepted' } | { readonly kind: 'rejected'; readonly reply: Reply }

/** A certificate that a client has proved to be his. */
export interface ClientCertificate {
  /** SHA-256, `AB:CD:...`. */
  readonly fingerprint: string
  /** An authority that the listener trusts signed it; names count only then. */
  readonly verified: boolean
  /** `CN=client.example.org, O=Example`. */
  readonly subject: string
  /** The common name and the names of hosts. */
  readonly hosts: readonly string[]
  readonly mailboxes: readonly string[]
}

/** All that a restriction may look at. What is not known yet at its stage is absent. */
export interface Question {
  readonly client: {
    /** The one effective address: behind a balancer, and with XCLIENT, the one that was told. */
    readonly address: string
    /** This host itself. */
    readonly own: boolean
    name(): Promise<ClientName>
  }
  readonly helo?: string
  readonly user?: string
  readonly secure: boolean
  readonly certificate?: ClientCertificate
  /** The client did not wait for a reply where it has to. */
  readonly pipelined: boolean
  readonly sender?: SaidPath
  readonly recipient?: SaidPath
  /** What the rules say to a recipient when a stranger asks, with the client's sender. @throws TableError */
  asStranger(mailbox: Mailbox): Promise<Resolution>
  /** True the first time in a transaction. */
  firstTime(restriction: Restriction): boolean
}

/** What restrictions work with. */
export interface Means {
  readonly tables: TableSet
  readonly dns: Dns
  /** Between user and sub-address. */
  readonly delimiter: string
  /** Resolves early when the session ends. */
  readonly sleep: (ms: number) => Promise<void>
  readonly greylist: Greylist
  /** Whether the domain of the sender (of HELO, for `<>`) says by SPF that this client sends its mail. Never throws: who cannot be asked has not said so. */
  readonly spfPasses: (question: Question) => Promise<boolean>
  /** Absent: nobody counts what lists answer. */
  readonly filterTally?: Pick<FilterTally, 'answered'> | undefined
  readonly log: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>
}

/** `next`: nothing is decided, the list goes on. A reply refuses. */
export type Finding = 'next' | 'permit' | Reply
