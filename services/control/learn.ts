import { stdin } from 'node:process'

import { classifierFiles, openClassifier, trainAgain } from '../../shared/classifier/classifier.ts'
import type { Training } from '../../shared/classifier/classifier.ts'
import { featuresOfMail } from '../../shared/classifier/features.ts'
import { forget, learn, learnedOf, readLearned } from '../../shared/classifier/learned-mail.ts'
import type { Learned } from '../../shared/classifier/learned-mail.ts'
import { readMail } from '../../shared/classifier/readable-mail.ts'
import type { ReadableMail } from '../../shared/classifier/readable-mail.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { loadPlace } from './connect.ts'
import { readMails } from './mail-files.ts'

const path = { name: 'FILE|MAILDIR|MBOX|-', required: true } as const
/** So many new messages are worth the seconds that a new model takes; or that part of what is known. */
const [worthTraining, worthShare] = [20, 0.02]

export const learnHam: Command = {
  words: ['learn', 'ham'],
  operands: [path],
  options: [{ name: 'later', summary: 'make no new model now' }],
  summary: 'teach the classifier that this is wanted mail',
  run: (invocation) => runLearn(invocation, 'ham'),
}

export const learnSpam: Command = {
  words: ['learn', 'spam'],
  operands: [path],
  options: [{ name: 'later', summary: 'make no new model now' }],
  summary: 'teach the classifier that this is spam',
  run: (invocation) => runLearn(invocation, 'spam'),
}

export const learnForget: Command = {
  words: ['learn', 'forget'],
  operands: [path],
  summary: 'take back what was learned of these messages',
  run: runForget,
}

export const learnStatus: Command = {
  words: ['learn', 'status'],
  operands: [],
  summary: 'what was learned, and the model in force',
  run: runStatus,
}

export const learnTrain: Command = {
  words: ['learn', 'train'],
  operands: [],
  summary: 'make a new model of all that was learned',
  run: runTrain,
}

async function runLearn(invocation: Invocation, kind: 'ham' | 'spam'): Promise<number> {
  const { terminal, options } = invocation
  const { configuration, dataFolder } = await loadPlace(invocation)
  const subject = configuration.pipeline.spam.subject
  const taught: Learned[] = []
  let forged = 0
  for await (const content of readMails(invocation, stdin)) {
    const mail = withoutMark(readMail(content), subject)
    if (kind === 'ham' && isForged(mail, configuration.authservId)) forged += 1
    else taught.push(learnedOf(featuresOfMail(mail), kind === 'spam'))
  }
  const { learned: file } = classifierFiles(dataFolder)
  const fresh = await learn(file, taught)
  if (forged > 0) terminal.warn(`${forged} not learned as ham: they failed DMARC when they came in`)
  const training = options.has('later') ? undefined : await trainIfWorth(dataFolder, fresh)
  if (options.has('json')) {
    terminal.print(JSON.stringify({ read: taught.length + forged, learned: fresh, forged, ...modelOf(training) }))
    return exitCodes.done
  }
  terminal.print(`${fresh} learned as ${kind}, ${taught.length - fresh} known already`)
  if (training !== undefined) terminal.print(describe(training))
  return exitCodes.done
}

async function runForget(invocation: Invocation): Promise<number> {
  const { terminal } = invocation
  const { configuration, dataFolder } = await loadPlace(invocation)
  const ids: string[] = []
  for await (const content of readMails(invocation, stdin))
    ids.push(learnedOf(featuresOfMail(withoutMark(readMail(content), configuration.pipeline.spam.subject)), false).id)
  const gone = await forget(classifierFiles(dataFolder).learned, ids)
  terminal.print(`${gone} forgotten, ${ids.length - gone} were not known`)
  if (gone > 0) terminal.print(describe(await trainAgain(dataFolder)))
  return exitCodes.done
}

async function runTrain(invocation: Invocation): Promise<number> {
  const { dataFolder } = await loadPlace(invocation)
  invocation.terminal.print(describe(await trainAgain(dataFolder)))
  return exitCodes.done
}

async function runStatus(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const { dataFolder } = await loadPlace(invocation)
  const learned = await readLearned(classifierFiles(dataFolder).learned)
  const spam = learned.filter(({ isSpam }) => isSpam).length
  const ham = learned.length - spam
  const classifier = openClassifier(dataFolder, Date.now)
  const { version, junkAt, ham: ofHam, spam: ofSpam } = classifier.model
  if (classifier.trouble !== undefined) terminal.warn(classifier.trouble)
  if (options.has('json')) terminal.print(JSON.stringify({ ham, spam, model: version, junkAt, ofHam, ofSpam }))
  else {
    terminal.print(`learned: ${ham} ham, ${spam} spam`)
    terminal.print(`model: ${version}, of ${ofHam} ham and ${ofSpam} spam`)
  }
  return exitCodes.done
}

/** Without what the filter itself wrote into the subject: it would learn its own opinion. */
function withoutMark(mail: ReadableMail, mark: string | undefined): ReadableMail {
  if (mark === undefined) return mail
  const fields = mail.fields.map((field) =>
    field.name === 'subject' && field.value.startsWith(mark)
      ? { ...field, value: field.value.slice(mark.length).trim() }
      : field,
  )
  return { ...mail, fields }
}

/** Our own field is the first of its name with our name: those that came in with it were removed. */
function isForged({ fields }: ReadableMail, authservId: string): boolean {
  const ours = fields.find(
    ({ name, value }) =>
      name === 'authentication-results' && value.toLowerCase().startsWith(`${authservId.toLowerCase()};`),
  )
  return ours !== undefined && /\bdmarc=fail\b/.test(ours.value)
}

async function trainIfWorth(dataFolder: string, fresh: number): Promise<Training | undefined> {
  if (fresh === 0) return undefined
  const learned = await readLearned(classifierFiles(dataFolder).learned)
  const { model } = openClassifier(dataFolder, Date.now)
  const known = model.version.startsWith('site') ? model.ham + model.spam : 0
  const waiting = learned.length - known
  if (known > 0 && waiting < Math.max(worthTraining, known * worthShare)) return undefined
  return trainAgain(dataFolder)
}

function modelOf(training: Training | undefined): { readonly model?: string } {
  return training?.kind === 'trained' ? { model: training.model.version } : {}
}

function describe(training: Training): string {
  if (training.kind === 'trained') {
    const { version, ham, spam } = training.model
    return `new model ${version} of ${ham} ham and ${spam} spam is in force`
  }
  const { ham, spam, each, inAll } = training
  return `the starter stays in force: ${ham} ham and ${spam} spam are learned, ${inAll} in all and ${each} of each are needed`
}
