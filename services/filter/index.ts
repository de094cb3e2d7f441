import type { Configuration } from '../../shared/config/model.ts'
import { discard, pass, reject } from '../../shared/mail/disposition.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import { applyEdits } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { tag } from '../../shared/mail/tag.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { createAuthenticationEngine, isFromStranger } from './authentication/engine.ts'
import type { AuthenticationFindings } from './engine.ts'
import { foldWords } from './fold-words.ts'
import { forgedFieldEdits } from './forged-fields.ts'
import { runEngines } from './run-engines.ts'
import type { EngineRun, EngineSettings } from './run-engines.ts'
import { spamEdits } from './spam-fields.ts'
import { judge } from './verdict.ts'
import type { Verdict } from './verdict.ts'

/** Judges a message by its engines, says so in its header, and sends it on with the queue's tag. Same message, same result. */
export default defineStage({ name: 'filter', queue: 'filter', open: (context) => openFilter(context) })

const contentRejected: Reply = { code: 550, enhanced: '5.7.1', text: 'Message content rejected' }

/** Engines get this much of the queue's time, so that what they found so far can still be used. */
const engineShare = 0.8

/** @param threads one for each core when left out. */
export async function openFilter(context: ServiceContext, threads?: number): Promise<OpenStage> {
  const { configuration, resolver, clock } = context
  const settings = configuration.pipeline.queues.get('filter')
  const timeoutMs = (settings?.timeoutMs ?? 60_000) * engineShare
  const engines: readonly EngineSettings[] = [
    {
      engine: createAuthenticationEngine({
        resolver,
        clock,
        hostname: configuration.hostname,
        dnsMs: Math.min(20_000, timeoutMs / 2),
        ...(threads === undefined ? {} : { threads }),
      }),
      weight: 1,
      timeoutMs,
      onFailure: settings?.onFailure ?? 'defer',
    },
  ]
  return {
    handle: (message, stageContext) => filter(message, stageContext, engines),
    async close() {
      await Promise.all(engines.map(({ engine }) => engine.close()))
    },
  }
}

/** @throws EngineFailure: again later */
export async function filter(
  message: StageMessage,
  context: StageContext,
  engines: readonly EngineSettings[],
): Promise<Disposition> {
  const { configuration, log, signal, events } = context
  const { stored, envelope } = message
  const header = await stored.header()
  const scanned = { envelope, header, content: () => stored.content(), sizeBytes: message.sizeBytes }
  const runs = await runEngines(engines, scanned, { signal, log })
  const verdict = withoutBackscatter(judge(runs, configuration.pipeline.spam), message, runs)
  const findings = findingsOf(runs, configuration)
  events.filtered({
    id: envelope.id,
    verdict: verdict.action,
    score: verdict.score,
    symbols: verdict.symbols.map(({ name }) => name),
    ...(findings.length === 0 ? {} : { authentication: findings.join('; ') }),
  })
  return decide(message, applyEdits(header, message.edits), { verdict, findings, runs }, configuration)
}

interface Judgement {
  readonly verdict: Verdict
  readonly findings: readonly string[]
  readonly runs: readonly EngineRun[]
}

function decide(
  message: StageMessage,
  header: Buffer,
  { verdict, findings, runs }: Judgement,
  configuration: Configuration,
): Disposition {
  const { spam, queues } = configuration.pipeline
  if (verdict.action === 'discard') return discard(`spam score ${verdict.score}`)
  if (verdict.action === 'reject') return reject(contentRejected)
  const stranger = isFromStranger(message.envelope)
  const edits: HeaderEdit[] = [
    ...forgedFieldEdits(header, {
      ownIds: [configuration.authservId, configuration.hostname],
      ...(stranger ? { spamPrefix: spam.header } : {}),
    }),
    ...(runs.length === 0 ? [] : spamEdits(verdict, spam, header)),
    ...resultsEdits(findings, configuration.authservId),
  ]
  return pass(tag(queues.get('filter')?.tag ?? 'Filtered'), edits)
}

/**
 * After the 250 a rejection is a bounce. It may go to our own users and to senders whose reverse-path SPF has proven; to
 * anybody else it would be backscatter, and the message is junk instead.
 */
function withoutBackscatter(verdict: Verdict, message: StageMessage, runs: readonly EngineRun[]): Verdict {
  if (verdict.action !== 'reject' || !isFromStranger(message.envelope)) return verdict
  const proven = runs.some(({ result }) =>
    result.authentication?.spf.some((finding) => finding.startsWith('spf=pass ')),
  )
  return proven ? verdict : { ...verdict, action: 'junk' }
}

/** The results of the checks pipeline.conf lists, in its order. A check that broke off is a temperror (RFC 8601 §2.7). */
function findingsOf(runs: readonly EngineRun[], configuration: Configuration): readonly string[] {
  const asked = runs.some(({ settings }) => settings.engine.name === 'authentication')
  if (!asked) return []
  const found = runs.find(({ result }) => result.authentication !== undefined)?.result.authentication
  return configuration.pipeline.authResults.flatMap((method) => (found ?? unknown)[method])
}

const unknown: AuthenticationFindings = {
  spf: ['spf=temperror'],
  dkim: ['dkim=temperror'],
  dmarc: ['dmarc=temperror'],
  arc: ['arc=temperror'],
}

/** Authentication-Results (RFC 8601 §2.2), each result on lines of its own. */
function resultsEdits(findings: readonly string[], authservId: string): HeaderEdit[] {
  if (findings.length === 0) return []
  const lines = findings.map((finding) => foldWords('\t', finding.split(' ')).replace('\t ', '\t'))
  return [{ kind: 'prepend', fields: `Authentication-Results: ${authservId};\r\n${lines.join(';\r\n')}\r\n` }]
}
