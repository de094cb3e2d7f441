import { stdin } from 'node:process'

import { openClassifier } from '../../shared/classifier/classifier.ts'
import { featuresOfMail, namedFeatures } from '../../shared/classifier/features.ts'
import type { Model } from '../../shared/classifier/model.ts'
import { readMail } from '../../shared/classifier/readable-mail.ts'
import type { ReadableMail } from '../../shared/classifier/readable-mail.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { loadPlace } from './connect.ts'
import { readMails } from './mail-files.ts'
import { visible } from './terminal.ts'

export const scan: Command = {
  words: ['scan'],
  operands: [{ name: 'FILE|MAILDIR|MBOX|-', required: true }],
  options: [{ name: 'why', summary: 'show what counts most, for and against' }],
  summary: 'how the classifier judges these messages',
  run,
}

const mostReasons = 8

interface Reason {
  readonly feature: string
  readonly logOdds: number
}

async function run(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const { configuration, dataFolder } = await loadPlace(invocation)
  const junk = configuration.pipeline.spam.junk ?? Number.POSITIVE_INFINITY
  const classifier = openClassifier(dataFolder, Date.now)
  let [messages, spam] = [0, 0]
  for await (const content of readMails(invocation, stdin)) {
    const mail = readMail(content)
    const { logOdds, points } = classifier.judge(featuresOfMail(mail))
    const score = Math.round(points * 10) / 10
    messages += 1
    if (score >= junk) spam += 1
    const reasons = options.has('why') ? reasonsOf(mail, classifier.model) : []
    const subject = mail.fields.find(({ name }) => name === 'subject')?.value ?? ''
    if (options.has('json')) {
      const { version: model } = classifier.model
      terminal.print(
        JSON.stringify({
          score,
          logOdds: Number(logOdds.toFixed(3)),
          junk: score >= junk,
          model,
          subject,
          ...(options.has('why') && { reasons }),
        }),
      )
      continue
    }
    const text = score.toFixed(1).padStart(5)
    terminal.print(`${score >= junk ? terminal.paint('red', text) : text}  ${visible(subject)}`)
    for (const { feature, logOdds } of reasons)
      terminal.print(`       ${logOdds.toFixed(2).padStart(6)}  ${visible(feature)}`)
  }
  if (!options.has('json'))
    terminal.print(`${messages} messages, ${spam} with ${junk} points or more, by ${classifier.model.version}`)
  return exitCodes.done
}

/** What a message has that its model knows, the heaviest first. */
function reasonsOf(mail: ReadableMail, { weights }: Model): readonly Reason[] {
  const named = namedFeatures(mail)
  const share = Math.sqrt(named.size || 1)
  const reasons = [...named].map(([feature, text]) => ({
    feature: text,
    logOdds: Number(((weights[feature & (weights.length - 2)] ?? 0) / share).toFixed(3)),
  }))
  const heaviest = reasons.toSorted((one, other) => Math.abs(other.logOdds) - Math.abs(one.logOdds))
  return heaviest.filter(({ logOdds }) => logOdds !== 0).slice(0, mostReasons)
}
