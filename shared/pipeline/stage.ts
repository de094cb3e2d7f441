import type { RelayOrder } from '../mail/envelope.ts'
import type { Message } from '../mail/message.ts'
import type { Disposition } from '../mail/disposition.ts'
import type { Service, ServiceContext } from '../service.ts'
import type { SpooledMessage } from '../spool/spool.ts'
import type { Span } from '../tracing/span.ts'
import { runStage } from './run-stage.ts'

/** A message as it reaches a stage: the job's view of it, and its content on demand. */
export interface StageMessage extends Message {
  /** Record, header section and content in the spool. */
  readonly stored: SpooledMessage
  /** Action of smtpd.conf to carry out (deliver, relay). */
  readonly action?: string
  /** Relay: the next domain or smarthost. */
  readonly destination?: string
  /** Relay: an operator sends it there, whatever the action says. */
  readonly order?: RelayOrder
  /** Relay: the lane it waited by, when it had to. */
  readonly lane?: string
  /** Attempts so far that ended in a temporary failure. */
  readonly attempts: number
  /** Its sender sent much lately: others go first. */
  readonly behind?: true
  /** An operator let it go from this stage's quarantine: it is not judged again. */
  readonly released?: true
  /** The client waits for the decision: a refusal is a reply in its session, and makes no bounce. */
  readonly beforeAccept?: true
  /** An operator asks what the stage would decide now: nothing outside it may change. */
  readonly dry?: true
}

/** What a stage may use while it handles one message; its `configuration` is the one in force when it began. */
export interface StageContext extends ServiceContext {
  /** Aborted when the service stops or the queue's `timeout` is over; every outside call takes it. */
  readonly signal: AbortSignal
  /** What the stage does is told below it; absent: the message is not traced. */
  readonly span?: Span
}

export type HandleMessage = (message: StageMessage, context: StageContext) => Promise<Disposition>

/** A stage with a lifetime: connections, worker threads. */
export interface OpenStage {
  readonly handle: HandleMessage
  /** Trouble now, one sentence each. */
  health?(): Promise<readonly string[]>
  close(): Promise<void>
}

export interface StageDefinition {
  /** Name of the service: `filter`, `signer`. */
  readonly name: string
  /** Queue it takes messages from; the name when left out. */
  readonly queue?: string
  /**
   * Whether an attempt that broke off may have reached recipients without anybody knowing, so that the next one brings some of them a second
   * copy: that is told. Absent: never.
   */
  readonly mayRepeat?: (message: StageMessage, context: ServiceContext) => boolean
  /** It can be asked what it would decide, and changes nothing then (`StageMessage.dry`). */
  readonly dry?: true
  /** A stage without state. May run twice for one message: same input, same result. What it throws means 451, again later. */
  readonly handle?: HandleMessage
  /** A stage with state. */
  readonly open?: (context: ServiceContext) => Promise<OpenStage>
}

/** Makes a service of a stage: takes messages from its queue, hands each to the stage, carries out the disposition. */
export function defineStage(definition: StageDefinition): Service {
  return { name: definition.name, start: (context) => runStage(definition, context) }
}
