import { openFactLog } from '../../shared/aggregate-reports/fact-log.ts'
import type { FactLog } from '../../shared/aggregate-reports/fact-log.ts'
import type { DmarcFact } from '../../shared/aggregate-reports/facts.ts'
import { settle } from '../../shared/config/settle.ts'
import type { Configuration } from '../../shared/config/model.ts'
import { TableError } from '../../shared/config/tables.ts'
import { discard, hold, pass, quarantine, reject } from '../../shared/mail/disposition.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import { applyEdits, prepended } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import { replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { safeReport } from '../../shared/mail/safe-report.ts'
import { tag } from '../../shared/mail/tag.ts'
import { notifyAdmins } from '../../shared/notices/admin-notices.ts'
import { afterFailure } from '../../shared/pipeline/after-failure.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { askEngines, provesSender } from './ask-engines.ts'
import { isFromStranger } from './authentication/engine.ts'
import { noteDmarc } from './dmarc-facts.ts'
import type { AuthenticationFindings, ScanMessage, ScanSymbol } from './engine.ts'
import { createEngineSet } from './engine-set.ts'
import type { OpenedEngines } from './engine-set.ts'
import { foldWords } from './fold-words.ts'
import { forgedFieldEdits } from './forged-fields.ts'
import { EngineFailure, runEngines } from './run-engines.ts'
import type { EngineRun, EngineSettings } from './run-engines.ts'
import { reportLines, spamEdits } from './spam-fields.ts'
import { rulesFor } from '../../shared/spam/spam-policy.ts'
import type { SpamRules } from '../../shared/spam/spam-policy.ts'
import { judge } from './verdict.ts'
import type { Verdict } from './verdict.ts'
import { virusEdits, virusPrefix } from './virus-fields.ts'

/** Judges a message by its engines, says so in its header, and sends it on with the queue's tag. Same message, same result. */
export default defineStage({ name: 'filter', queue: 'filter', dry: true, open: (context) => openFilter(context) })

/** @param threads one for each core when left out. */
export async function openFilter(context: ServiceContext, threads?: number): Promise<OpenStage> {
  const { configuration, resolver, clock, tables, dataFolder, log, filterTally } = context
  const engines = createEngineSet(configuration, {
    resolver,
    clock,
    tables,
    dataFolder,
    ...(filterTally === undefined ? {} : { filterTally }),
    ...(threads === undefined ? {} : { threads }),
  })
  const facts = openFactLog<DmarcFact>({ dataFolder, kind: 'dmarc', writer: 'filter', clock, log })
  return {
    handle: (message, stageContext) =>
      engines.use(stageContext.configuration, (opened) => filterOrDefer(message, stageContext, { ...opened, facts })),
    health: async () => engines.troubles(),
    async close() {
      await engines.close()
      await facts.close()
    },
  }
}

/** A message that an engine dies of at this attempt is poison, as one that its process dies of. */
const mostCrashes = 5

/**
 * An engine or a table that must not be left out makes the message wait even where the queue would let it go on without the filter. Where
 * a client waits, it fails: the message comes again, by the queue.
 */
export async function filterOrDefer(
  message: StageMessage,
  context: StageContext,
  { engines, troubles, facts }: OpenedEngines & { readonly facts?: FactLog<DmarcFact> },
): Promise<Disposition> {
  try {
    return await filter(message, context, engines, troubles, facts)
  } catch (error) {
    const isAsked = message.beforeAccept === true || message.dry === true
    if (isAsked || !(error instanceof EngineFailure || error instanceof TableError)) throw error
    if (error instanceof EngineFailure && error.isCrash && message.attempts + 1 >= mostCrashes)
      return hold(`poison: ${error.message}, at attempt ${message.attempts + 1}`)
    const { id } = message.envelope
    context.events.deferred({ id, stage: 'filter', reason: error.message, policy: 'defer' })
    const settings = context.configuration.pipeline.queues.get('filter')
    const reply = { ...replies.tryLater, text: 'Content check is not available, please try again later' }
    return afterFailure(settings && { ...settings, onFailure: 'defer' }, message, error, reply)
  }
}

/** @throws EngineFailure: again later */
export async function filter(
  message: StageMessage,
  context: StageContext,
  engines: readonly EngineSettings[],
  troubles = new Map<string, string>(),
  facts?: FactLog<DmarcFact>,
): Promise<Disposition> {
  const { configuration, tables, log, metrics, signal, events, span, filterTally: tally } = context
  const { envelope } = message
  const scanned = await scanMessage(message)
  const ask = (asked: readonly EngineSettings[]): Promise<readonly EngineRun[]> =>
    runEngines(asked, scanned, { signal, span, log, metrics, tally, troubles })
  const { runs, trusted } =
    message.released === true
      ? { runs: [], trusted: undefined }
      : await askEngines(message, { pipeline: configuration.pipeline, engines, tables, ask })
  const rules = await settle(tables, (settled) =>
    rulesFor(configuration.pipeline.spam, envelope, message.pending, settled),
  )
  const isRejectable = mayReject(message, runs)
  const verdict = judge(runs, {
    thresholds: rules,
    mayReject: isRejectable,
    ...(trusted === undefined ? {} : { trusted }),
  })
  const findings = findingsOf(runs, configuration)
  // Asked before the 250 it may be asked again, when the client did not wait: the notice is the same one.
  if (message.dry !== true) {
    if (verdict.action !== 'clean' && configuration.pipeline.notices.admins.length > 0)
      await notifyAdmins(context, envelope, scanned.header, verdict)
    noteDmarc(facts, configuration, scanned, runs, verdict.action)
    if (message.released !== true) tally?.judged(verdict.action, resultsOf(runs))
  }
  span?.set({ 'sluice.verdict': verdict.action, 'sluice.score': verdict.score })
  events.filtered({
    id: envelope.id,
    verdict: message.released === true ? 'released' : verdict.action,
    score: verdict.score,
    symbols: verdict.symbols.slice(0, mostToldSymbols).map(tellSymbol),
    ...(verdict.action === 'clean' ? {} : { reason: verdict.reason }),
    ...(findings.length === 0 ? {} : { authentication: findings.join('; ') }),
    mayReject: isRejectable,
    revision: configuration.revision,
    ...(verdict.demands.length === 0 ? {} : { demands: verdict.demands }),
  })
  return decide(message, applyEdits(scanned.header, message.edits), { verdict, rules, findings, runs }, configuration)
}

async function scanMessage({ envelope, stored, edits, sizeBytes }: StageMessage): Promise<ScanMessage> {
  return {
    envelope,
    header: await stored.header(),
    content: () => stored.content(),
    stream: () => stored.stream(),
    received: prepended(edits),
    sizeBytes,
  }
}

/** `spf=pass`, without what it is about. */
function resultsOf(runs: readonly EngineRun[]): readonly string[] {
  const found = runs.find(({ result }) => result.authentication !== undefined)?.result.authentication
  return found === undefined ? [] : Object.values(found).flatMap((all) => all.map((one) => one.split(' ', 1)[0] ?? ''))
}

const mostToldSymbols = 50

/** `SPF_FAIL 1.5 example.org does not send from this client`. */
function tellSymbol({ name, score, text }: ScanSymbol): string {
  return text === '' ? `${name} ${score}` : `${name} ${score} ${text}`
}

interface Judgement {
  readonly verdict: Verdict
  readonly rules: SpamRules
  readonly findings: readonly string[]
  readonly runs: readonly EngineRun[]
}

function decide(
  message: StageMessage,
  header: Buffer,
  { verdict, rules, findings, runs }: Judgement,
  configuration: Configuration,
): Disposition {
  const { queues } = configuration.pipeline
  if (verdict.action === 'discard') return discard(verdict.reason)
  if (verdict.action === 'reject') return reject(refusal(verdict))
  if (verdict.action === 'quarantine') return quarantine(verdict.kind, verdict.reason)
  const stranger = isFromStranger(message.envelope)
  const isJudged = stranger && runs.length > 0
  const edits: HeaderEdit[] = [
    ...forgedFieldEdits(header, {
      ownIds: [configuration.authservId, configuration.hostname],
      prefixes: stranger ? [rules.header, virusPrefix] : [],
    }),
    ...(verdict.action === 'junk' ? reportEdits(message, verdict, configuration) : []),
    ...(isJudged || verdict.action === 'junk' ? spamEdits(verdict, rules, header) : []),
    ...virusEdits(runs),
    ...resultsEdits(findings, configuration.authservId),
  ]
  return pass(tag(queues.get('filter')?.tag ?? 'Filtered'), edits)
}

/** `spam report-safe on`, once. */
function reportEdits({ envelope, edits }: StageMessage, verdict: Verdict, configuration: Configuration): HeaderEdit[] {
  if (!configuration.pipeline.spam.reportSafe || edits.some(({ kind }) => kind === 'wrap')) return []
  const report = [
    `${configuration.hostname} takes this message for junk. It is attached as it came.`,
    'Do not open what is attached to it, and follow no link in it, unless you know who sent it.',
    '',
    ...reportLines(verdict),
  ]
  return [safeReport(envelope.id, report, { eightBit: envelope.eightBit })]
}

/** Of a danger the sender is told the name, so that our users can do something about it; of a score nothing. */
function refusal({ kind, reason }: Verdict): Reply {
  const text = kind === 'spam' ? 'Message content rejected' : `Message content rejected (${reason})`
  return { code: 550, enhanced: '5.7.1', text }
}

/**
 * A bounce may go to our own users and to senders whose reverse-path SPF has proven; to anybody else it would be backscatter. A reply in
 * the session reaches whoever sent it.
 */
function mayReject(message: StageMessage, runs: readonly EngineRun[]): boolean {
  if (message.beforeAccept === true || !isFromStranger(message.envelope)) return true
  return provesSender(runs)
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
