import { setMaxListeners } from 'node:events'
import { Readable } from 'node:stream'

import type { Configuration } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import { silentLog } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { OfflineEnvelope, OpenOfflineFilter } from '../../shared/pipeline/offline-filter.ts'
import type { LookUp, Resolver } from '../../shared/resolver.ts'
import { askEngines } from './ask-engines.ts'
import type { AskParts } from './ask-engines.ts'
import type { ScanMessage } from './engine.ts'
import { openEngines } from './open-engines.ts'
import { runEngines } from './run-engines.ts'
import { rulesFor } from '../../shared/spam/spam-policy.ts'
import { judge } from './verdict.ts'

/**
 * For `sluicectl scan`: the engines of this process, each message as if a stranger had sent it. What needs DNS is a temporary failure and
 * counts nothing.
 */
export const openOfflineFilter: OpenOfflineFilter = ({ configuration, dataFolder, tables }) => {
  const engines = openEngines(offlinePart(configuration), {
    resolver: offline,
    clock: { now: Date.now },
    tables,
    dataFolder,
  })
  const stopped = new AbortController()
  // Each engine of each message on its way listens.
  setMaxListeners(0, stopped.signal)
  const parts = {
    signal: stopped.signal,
    log: silentLog(),
    metrics: { engineSeconds: { observe: () => {} } },
  }
  return {
    notAsked: enginesElsewhere(configuration),
    async judge(content, about) {
      const message = scanMessage(content, about)
      const { envelope } = message
      const pending = envelope.recipients.map((_recipient, index) => index)
      const { pipeline } = configuration
      const ask: AskParts['ask'] = (asked) => runEngines(asked, message, parts)
      const { runs, trusted } = await askEngines({ envelope, pending }, { pipeline, engines, tables, ask })
      const thresholds = await settle(tables, (settled) => rulesFor(pipeline.spam, envelope, pending, settled))
      const { action, score, reason, symbols } = judge(runs, {
        thresholds,
        mayReject: true,
        ...(trusted === undefined ? {} : { trusted }),
      })
      return { action, score, reason, symbols }
    },
    async close() {
      await Promise.all(engines.map(({ engine }) => engine.close()))
    },
  }
}

/** An engine that fails is left out: nobody tries again later. */
function offlinePart(configuration: Configuration): Configuration {
  const { virus: _elsewhere, ...pipeline } = configuration.pipeline
  const engines = pipeline.spam.engines.filter(({ kind }) => kind === 'builtin' || kind === 'spamscanner')
  const filter = pipeline.queues.get('filter')
  return {
    ...configuration,
    pipeline: {
      ...pipeline,
      spam: { ...pipeline.spam, engines, lists: [] },
      queues: new Map(filter === undefined ? [] : [['filter', { ...filter, onFailure: 'proceed' }]]),
    },
  }
}

function enginesElsewhere({ pipeline: { spam, virus } }: Configuration): readonly string[] {
  return [
    ...(virus === undefined ? [] : ['clamd']),
    ...spam.engines.map(({ kind }) => kind).filter((kind) => kind === 'rspamd' || kind === 'spamassassin'),
    ...spam.lists.map(({ zone }) => zone),
  ]
}

/** Of no domain that a policy is for. */
const anybody = 'anybody@unknown.invalid' as Mailbox

/** As it would come in over SMTP. */
export function scanMessage(
  stored: Buffer,
  { recipients, tags }: OfflineEnvelope,
): ScanMessage & { readonly envelope: Envelope } {
  const content = Buffer.from(stored.toString('latin1').replaceAll(/\r?\n/g, '\r\n'), 'latin1')
  const end = content.indexOf('\r\n\r\n')
  const nowAt = Date.now()
  return {
    envelope: {
      id: newMessageId(nowAt),
      reversePath: null,
      recipients: (recipients.length === 0 ? [anybody] : recipients).map((mailbox) => ({ mailbox })),
      tags,
      origin: { kind: 'smtp', address: '192.0.2.1', helo: 'unknown.invalid' },
      receivedAt: nowAt,
    },
    header: content.subarray(0, end < 0 ? content.length : end + 4),
    content: async () => content,
    stream: () => Readable.from([content]),
    received: Buffer.alloc(0),
    sizeBytes: content.length,
  }
}

const fails = async <T>(): Promise<LookUp<T>> => ({ kind: 'failed', error: new Error('offline') })

/** Answers no question. */
export const offline: Resolver = { mx: fails, a: fails, aaaa: fails, txt: fails, ptr: fails, close: () => {} }
