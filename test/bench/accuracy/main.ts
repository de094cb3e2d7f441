import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { starterModel } from '../../../shared/classifier/classifier.ts'
import { learnedOf } from '../../../shared/classifier/learned-mail.ts'
import { defaultTraining, logOdds, train } from '../../../shared/classifier/logistic.ts'
import { decodeModel, encodeModel } from '../../../shared/classifier/model.ts'
import { trainSite } from '../../../shared/classifier/site-model.ts'
import { scanMessage } from '../../../services/filter/offline.ts'
import { createRspamdEngine } from '../../../services/filter/rspamd/engine.ts'
import { createSpamAssassinEngine } from '../../../services/filter/spamassassin/engine.ts'
import type { Engine } from '../../../services/filter/engine.ts'
import { startDns } from '../../support/dns.ts'
import { missingPeers } from '../../support/peer.ts'
import { startRspamd } from '../../support/rspamd.ts'
import { startSpamd } from '../../support/spamd.ts'
import { folds, withCorpus } from './corpus.ts'
import type { Labelled } from './corpus.ts'
import { areaUnderCurve, ratesAt, thresholdFor } from './statistics.ts'
import type { Scored } from './statistics.ts'
import { wholeVerdicts } from './whole-verdict.ts'
import type { NewModel } from '../../../shared/classifier/model.ts'

const usage = `npm run bench:accuracy [-- FOLDER] [--every N] [--at-once N] [--no-peers] [--only-peers]

How well spam is told from ham on the labelled mail in FOLDER (../shared/corpus): the classifier, cross-validated so that no message is
judged by a model that has seen it; its model for new installations; a site that learns; all engines of this process together; spamscanner;
Debian's SpamAssassin and Rspamd on each Nth message (10), as many at a time as told (1), without network. What Rspamd gives for the lack of one
and for the age of the mail is taken out.`

interface Row {
  readonly name: string
  readonly scored: readonly Scored[]
  /** Where it calls mail spam unless told otherwise. */
  readonly threshold: number
  /** Milliseconds for each message. */
  readonly took: readonly number[]
}

async function run(
  mails: readonly Labelled[],
  options: { readonly every: number; readonly atOnce: number; readonly peers: boolean; readonly own: boolean },
): Promise<void> {
  print('| engine | messages | false positives | recall | recall at 0.1 % | at 0.3 % | AUC | ms p50 | ms p99 |')
  print('| --- | --- | --- | --- | --- | --- | --- | --- | --- |')
  if (options.own) await rowsOfOurs(mails)
  if (!options.peers) return
  const sample = mails.filter((_mail, index) => index % options.every === 0)
  if (missingPeers('spamd') === false) row(await spamAssassin(sample, options.atOnce))
  else print('SpamAssassin is not installed: left out')
  if (missingPeers('rspamd') === false) row(await rspamd(sample, options.atOnce))
  else print('Rspamd is not installed: left out')
}

async function rowsOfOurs(mails: readonly Labelled[]): Promise<void> {
  const took = mails.map(({ tookMs }) => tookMs)
  const unseen = crossValidated(mails)
  row({ name: 'classifier, 5-fold, threshold of 0.3 %', scored: unseen, threshold: thresholdFor(unseen, 0.003), took })
  row({ name: 'the same, at the threshold of the starter', scored: unseen, threshold: starterModel().junkAt, took })
  for (const count of [200, 500, 1_000]) row(site(mails, count))
  await rowsOfVerdicts(mails)
}

/** Each with models that have not seen the messages they judge. */
async function rowsOfVerdicts(mails: readonly Labelled[]): Promise<void> {
  const fresh = await wholeVerdicts(mails, starterOf)
  row({ name: 'whole verdict, new installation', scored: fresh.whole, threshold: junkAt, took: fresh.tookMs })
  const taught = await wholeVerdicts(mails, siteOf)
  row({ name: 'whole verdict, a site that taught', scored: taught.whole, threshold: junkAt, took: taught.tookMs })
  const { spamScanner: scored, spamScannerMs: took } = fresh
  row({ name: 'spamscanner, its sound checks alone', scored, threshold: 1.5, took })
  row({
    name: 'new installation, with spamscanner',
    scored: fresh.withSpamScanner,
    threshold: junkAt,
    took: fresh.tookMs,
  })
  row({
    name: 'a site that taught, with spamscanner',
    scored: taught.withSpamScanner,
    threshold: junkAt,
    took: taught.tookMs,
  })
}

const junkAt = 5

/** As build-starter makes it. */
function starterOf(mails: readonly Labelled[]): NewModel {
  return { name: 'starter', weights: train(mails), junkAt: starterModel().junkAt, mostPoints: 7, ham: 0, spam: 0 }
}

/**
 * As a site makes it that was taught all but the tested messages, without a share of the starter: what is shipped has seen all of the
 * corpus. Its threshold is that of 0.3 % of the ham that each of its own folds has not seen.
 */
function siteOf(mails: readonly Labelled[]): NewModel {
  const quick = { ...defaultTraining, seeds: [1], epochs: 6 }
  const unseen = crossValidated(mails, quick)
  return { name: 'site', weights: train(mails), junkAt: thresholdFor(unseen, 0.003), mostPoints: 10, ham: 0, spam: 0 }
}

function crossValidated(mails: readonly Labelled[], training = defaultTraining): readonly Scored[] {
  return Array.from({ length: folds }, (_one, fold) => {
    const tested = mails.filter((mail) => mail.fold === fold)
    if (tested.length === 0) return []
    const weights = train(
      mails.filter((mail) => mail.fold !== fold),
      training,
    )
    return tested.map(({ isSpam, features }) => ({ isSpam, score: logOdds(weights, features) }))
  }).flat()
}

/** A site whose mail the starter has never seen (one collection) teaches the first `count` of its messages, and judges the others. */
function site(mails: readonly Labelled[], count: number): Row {
  const own = mails
    .filter(({ set }) => set === 'trec07')
    .toSorted((one, other) => (orderOf(one) < orderOf(other) ? -1 : 1))
  const others = train(mails.filter(({ set }) => set !== 'trec07'))
  const starter = decodeModel(
    encodeModel({ name: 'starter', weights: others, junkAt: starterModel().junkAt, mostPoints: 7, ham: 0, spam: 0 }),
  )
  const taught = own.slice(0, count).map(({ features, isSpam }) => learnedOf(features, isSpam))
  const { weights, junkAt } = trainSite(taught, starter)
  const rest = own.slice(count)
  return {
    name: `site that taught ${count} messages`,
    scored: rest.map(({ isSpam, features }) => ({ isSpam, score: logOdds(weights, features) })),
    threshold: junkAt,
    took: rest.map(({ tookMs }) => tookMs),
  }
}

/** Names are hashes of the content: an order that has nothing to do with what a message is. */
function orderOf({ path }: Labelled): string {
  return path.slice(path.lastIndexOf('-') + 1)
}

async function spamAssassin(sample: readonly Labelled[], atOnce: number): Promise<Row> {
  const spamd = await startSpamd()
  try {
    const engine = createSpamAssassinEngine({
      kind: 'spamassassin',
      place: { kind: 'tcp', host: '127.0.0.1', port: spamd.port },
      weight: 1,
      timeoutMs: 60_000,
      onFailure: 'proceed',
    })
    return {
      name: 'SpamAssassin, Debian rules, without network',
      threshold: 5,
      ...(await scan(engine, sample, atOnce)),
    }
  } finally {
    await spamd.stop()
  }
}

/** What says that there is no DNS, and that the mail is old. */
const notItsFault = /^(?:HFILTER_(?:HOSTNAME|HELO)_\w+|RDNS_NONE|DATE_IN_PAST)$/

async function rspamd(sample: readonly Labelled[], atOnce: number): Promise<Row> {
  const dns = await startDns({})
  const started = await startRspamd({ dnsPort: dns.port })
  try {
    const engine = createRspamdEngine({
      kind: 'rspamd',
      url: started.url,
      weight: 1,
      timeoutMs: 60_000,
      onFailure: 'proceed',
      actions: 'ignore',
    })
    return { name: "Rspamd, Debian's rules, without network", threshold: 6, ...(await scan(engine, sample, atOnce)) }
  } finally {
    await started.stop()
    await dns.stop()
  }
}

async function scan(
  engine: Engine,
  sample: readonly Labelled[],
  atOnce: number,
): Promise<Pick<Row, 'scored' | 'took'>> {
  const scored: Scored[] = []
  const took: number[] = []
  const rest = sample.values()
  const one = async (): Promise<void> => {
    for (const { path, isSpam } of rest) {
      const { status, score, symbols, tookMs } = await engine.scan(
        scanMessage(readFileSync(path), { recipients: [], tags: [] }),
        new AbortController().signal,
      )
      if (status !== 'ok') continue
      const excused = symbols.filter(({ name }) => notItsFault.test(name)).reduce((sum, each) => sum + each.score, 0)
      scored.push({ isSpam, score: score - excused })
      took.push(tookMs)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
  await engine.close()
  return { scored, took }
}

function row({ name, scored, threshold, took }: Row): void {
  const { falsePositives, recall } = ratesAt(scored, threshold)
  const at = (share: number): string => percent(ratesAt(scored, thresholdFor(scored, share)).recall)
  const sorted = took.toSorted((one, other) => one - other)
  const quantile = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2)
  const cells = [name, scored.length, percent(falsePositives), percent(recall), at(0.001), at(0.003)]
  print(`| ${[...cells, areaUnderCurve(scored).toFixed(4), quantile(0.5), quantile(0.99)].join(' | ')} |`)
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`
}

function atLeastOne(text: string, standard: number): number {
  return Math.max(1, Number.parseInt(text, 10) || standard)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    every: { type: 'string', default: '10' },
    'at-once': { type: 'string', default: '1' },
    'no-peers': { type: 'boolean', default: false },
    'only-peers': { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
})
if (values.help === true) print(usage)
else {
  const options = {
    every: atLeastOne(values.every, 10),
    atOnce: atLeastOne(values['at-once'], 1),
    peers: !values['no-peers'],
    own: !values['only-peers'],
  }
  await withCorpus(positionals[0] ?? '../shared/corpus', (mails) => run(mails, options))
}
