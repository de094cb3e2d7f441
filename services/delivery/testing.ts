import type { Action, Configuration, LocalAction, PipelineSettings } from '../../shared/config/model.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import { systemClock } from '../../shared/clock.ts'
import { silentLog } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { LocalTarget } from '../../shared/mail/envelope.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { stageMessage as messageInMemory } from '../../shared/pipeline/testing.ts'
import type { Delivery } from './deliver-each.ts'

const at = { file: 'smtpd.conf', line: 3, column: 1 }

export function localAction(method: LocalAction['method'], more: Partial<LocalAction> = {}): Action & LocalAction {
  return { name: 'inbox', kind: 'local', method, at, ...more }
}

/** The part of a service's surroundings that delivery looks at. */
export function stageContext(actions: readonly Action[], pipeline: Partial<PipelineSettings> = {}): StageContext {
  const configuration = {
    hostname: 'mail.example.org',
    subAddressDelimiter: '+',
    actions: new Map(actions.map((action) => [action.name, action])),
    limits: { mda: new Map() },
    pipeline: {
      users: { kind: 'any' },
      sockets: new Map(),
      queues: new Map(),
      mda: { enabled: false },
      fullMailbox: { kind: 'as-said' },
      events: {},
      ...pipeline,
    },
  } as unknown as Configuration
  const tables = {
    userInfo: (_table: unknown, user: string) =>
      user === 'jane' ? { uid: 1000, gid: 1000, home: '/home/jane' } : undefined,
  } as unknown as TableSet
  return {
    configuration,
    tables,
    log: silentLog(),
    clock: systemClock,
    signal: new AbortController().signal,
  } as unknown as StageContext
}

/** All recipients of a message, by one action. */
export function deliveryOf(
  message: StageMessage,
  action: Action & LocalAction,
  pipeline: Partial<PipelineSettings> = {},
): Delivery<StageContext> {
  return { message, pending: message.pending, action, context: stageContext([action], pipeline) }
}

export interface TestMessage {
  readonly to?: readonly string[]
  readonly from?: string | null
  readonly original?: string
  /** Of every recipient. */
  readonly target?: LocalTarget
  readonly content?: string
  readonly edits?: readonly HeaderEdit[]
  readonly receivedAt?: number
  readonly action?: string
}

export function stageMessage(parts: TestMessage = {}): StageMessage {
  const { to = ['jane@example.org'], from = 'joe@example.net', edits = [], action = 'inbox' } = parts
  const content = parts.content ?? 'Subject: Hello\r\n\r\nHow are you?\r\n'
  const recipients = to.map((mailbox) => ({
    mailbox: mailbox as Mailbox,
    ...(parts.original === undefined ? {} : { original: parts.original as Mailbox }),
    ...(parts.target === undefined ? {} : { target: parts.target }),
  }))
  const envelope = {
    id: '0mf4example000000' as MessageId,
    reversePath: from as Mailbox | null,
    recipients,
    tags: [],
    origin: { kind: 'local' } as const,
    receivedAt: parts.receivedAt ?? Date.now(),
  }
  return { ...messageInMemory(Buffer.from(content), envelope, edits), action }
}
