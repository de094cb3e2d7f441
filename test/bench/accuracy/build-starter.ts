import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { defaultTraining, logOdds, train } from '../../../shared/classifier/logistic.ts'
import { decodeModel, encodeModel } from '../../../shared/classifier/model.ts'
import { withCorpus } from './corpus.ts'
import type { Labelled } from './corpus.ts'
import { ratesAt } from './statistics.ts'

/** Of the ham of collections the model has never seen, on average, no more may be taken for spam. */
const mostFalsePositives = 0.005
/** It never decides more than that mail is junk. */
const mostPoints = 7
/** Left out one after the other: collections of different years, people and programs. */
const collections = [/^sa_/, /^csdmc/, /^trec07/, /^linuxmips|^phishpot/]

/**
 * Makes shared/classifier/starter.model from the corpus, the same each time. What it is worth is decided by collections it was not made
 * of: the mail of a new installation is such a one.
 */
async function build(mails: readonly Labelled[]): Promise<void> {
  const junkAt = junkAtOf(mails)
  const ham = mails.filter(({ isSpam }) => !isSpam).length
  const file = encodeModel({
    name: 'starter',
    weights: train(mails, defaultTraining),
    junkAt,
    mostPoints,
    ham,
    spam: mails.length - ham,
  })
  const path = fileURLToPath(new URL('../../../shared/classifier/starter.model', import.meta.url))
  writeFileSync(path, file)
  const { version } = decodeModel(file)
  console.log(
    `${version}: ${ham} ham, ${mails.length - ham} spam, 5 points at log-odds ${junkAt}, ${file.length} octets`,
  )
}

function junkAtOf(mails: readonly Labelled[]): number {
  const unseen = collections.map((collection) => {
    const weights = train(mails.filter(({ set }) => !collection.test(set)))
    return mails
      .filter(({ set }) => collection.test(set))
      .map(({ isSpam, features }) => ({ isSpam, score: logOdds(weights, features) }))
  })
  for (let junkAt = 2; ; junkAt += 0.5) {
    const rates = unseen.map((scored) => ratesAt(scored, junkAt))
    const average = rates.reduce((sum, { falsePositives }) => sum + falsePositives, 0) / rates.length
    const text = rates.map(({ falsePositives, recall }) => `${percent(falsePositives)}/${percent(recall)}`).join('  ')
    console.log(`log-odds ${junkAt}: false positives/recall of each collection left out: ${text}`)
    if (average <= mostFalsePositives) return junkAt
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`
}

await withCorpus(process.argv[2] ?? '../shared/corpus', build)
