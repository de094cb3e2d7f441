import type { BannedPolicy, BannedSettings, PipelineSettings, Table, VirusSettings } from '../../shared/config/model.ts'
import { openTables } from '../../shared/config/tables.ts'
import { silentLog } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import type { Envelope, Origin } from '../../shared/mail/envelope.ts'
import { applyEdits } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { StageContext } from '../../shared/pipeline/stage.ts'
import { headerLength, stageMessage } from '../../shared/pipeline/testing.ts'
import type { Resolver } from '../../shared/resolver.ts'
import { zoneResolver } from '../../shared/restrictions/testing.ts'
import type { Zone } from '../../shared/restrictions/testing.ts'

export { headerLength, stageMessage, zoneResolver }
export type { Zone }

/** A list as it stands in a configuration. */
export function listTable(...list: readonly string[]): Table {
  return { name: 'list', source: { kind: 'inline', list }, at: { file: 'test', line: 1, column: 1 } }
}

/** One policy for strangers' mail, as the defaults have it but for what is given. */
export function bannedSettings(
  policy: Partial<BannedPolicy> = {},
  limits: Partial<BannedSettings['limits']> = {},
): BannedSettings {
  const careful = {
    files: 'default',
    found: 'quarantine',
    macros: 'pass',
    encrypted: 'pass',
    unreadable: 'pass',
  } as const
  return {
    policies: [{ ...careful, ...policy }],
    limits: { depth: 8, files: 10_000, unpackedBytes: 268_435_456, ...limits },
  }
}

export const receivedAt = 1_700_000_000_000

export const stranger: Origin = { kind: 'smtp', address: '192.0.2.7', helo: 'mail.example.org' }

export function testEnvelope(origin: Origin = stranger, reversePath: string | null = 'jane@example.org'): Envelope {
  return {
    id: newMessageId(receivedAt),
    reversePath: reversePath as Mailbox | null,
    recipients: [{ mailbox: 'x@y.example' as Mailbox }],
    tags: [],
    origin,
    receivedAt,
  }
}

export interface TestSettings {
  readonly spam?: Partial<PipelineSettings['spam']>
  readonly aggregateReports?: PipelineSettings['aggregateReports']
  readonly virus?: Omit<VirusSettings, 'policies'> & Partial<VirusSettings>
  readonly enginePolicies?: PipelineSettings['enginePolicies']
  readonly banned?: BannedSettings
  readonly onFailure?: 'defer' | 'proceed'
  readonly timeoutMs?: number
  readonly authResults?: PipelineSettings['authResults']
  readonly authentication?: PipelineSettings['authentication']
}

export function testContext(
  resolver: Resolver,
  settings: TestSettings = {},
): { readonly context: StageContext; readonly events: object[] } {
  const events: object[] = []
  const { onFailure = 'defer', timeoutMs = 60_000 } = settings
  const context = {
    configuration: {
      revision: 'test',
      hostname: 'mx.sluice.example',
      authservId: 'sluice.example',
      pipeline: {
        queues: new Map([
          ['filter', { name: 'filter', tag: 'Filtered', concurrency: 4, timeoutMs, onFailure, targetMs: 60_000 }],
        ]),
        authentication: settings.authentication ?? { minKeyBits: 1024 },
        authResults: settings.authResults ?? ['spf', 'dkim', 'dmarc', 'arc'],
        spam: {
          header: 'X-Spam',
          reportSafe: false,
          engines: [{ kind: 'builtin', weight: 1, classifier: false }],
          policies: [],
          clean: [],
          blocked: [],
          lists: [],
          ...settings.spam,
        },
        ...(settings.banned === undefined ? {} : { banned: settings.banned }),
        enginePolicies: settings.enginePolicies ?? [],
        notices: { admins: [] },
        aggregateReports: settings.aggregateReports ?? {},
        webhooks: [],
        ...(settings.virus === undefined ? {} : { virus: { policies: [], ...settings.virus } }),
      },
    },
    resolver,
    tables: openTables(),
    clock: { now: () => receivedAt },
    log: silentLog(),
    metrics: { engineSeconds: { observe: () => {} } },
    events: {
      filtered: (fields: object) => events.push(fields),
      deferred: (fields: object) => events.push(fields),
    },
    signal: new AbortController().signal,
  } as unknown as StageContext
  return { context, events }
}

/** The header section as the next stage sees it. */
export function headerBehind(content: Buffer, disposition: Disposition, edits: readonly HeaderEdit[] = []): string {
  if (disposition.kind !== 'pass') throw new Error(`expected pass, not ${disposition.kind}`)
  const header = content.subarray(0, headerLength(content))
  return applyEdits(header, [...edits, ...(disposition.edits ?? [])]).toString()
}
