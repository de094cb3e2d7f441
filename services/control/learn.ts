import { stdin } from 'node:process'

import { classifierFiles, openClassifier, trainAgain } from '../../shared/classifier/classifier.ts'
import type { Training } from '../../shared/classifier/classifier.ts'
import { forget, learn, readLearned } from '../../shared/classifier/learned-mail.ts'
import type { Learned } from '../../shared/classifier/learned-mail.ts'
import { lessonIdOf, lessonOf, schoolOf, trainIfWorth } from '../../shared/classifier/teach.ts'
import type { Lesson } from '../../shared/classifier/teach.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { loadPlace } from './connect.ts'
import { workAsOwner } from './data-owner.ts'
import { readMails } from './mail-files.ts'

const path = { name: 'FILE|MAILDIR|MBOX|-', required: true } as const

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

async function runLearn(invocation: Invocation, lesson: Lesson): Promise<number> {
  const { terminal, options } = invocation
  const { configuration, dataFolder } = await loadPlace(invocation)
  const school = schoolOf(configuration)
  const taught: Learned[] = []
  let forged = 0
  for await (const content of readMails(invocation, stdin)) {
    const learned = lessonOf(content, lesson, school)
    if (learned === 'forged') forged += 1
    else taught.push(learned)
  }
  workAsOwner(dataFolder)
  const { learned: file } = classifierFiles(dataFolder)
  const fresh = await learn(file, taught)
  if (forged > 0) terminal.warn(`${forged} not learned: they failed authentication when they came in`)
  const training = options.has('later') || fresh === 0 ? undefined : await trainIfWorth(dataFolder)
  if (options.has('json')) {
    terminal.print(JSON.stringify({ read: taught.length + forged, learned: fresh, forged, ...modelOf(training) }))
    return exitCodes.done
  }
  terminal.print(`${fresh} learned as ${lesson}, ${taught.length - fresh} known already`)
  if (training !== undefined) terminal.print(describe(training))
  return exitCodes.done
}

async function runForget(invocation: Invocation): Promise<number> {
  const { terminal } = invocation
  const { configuration, dataFolder } = await loadPlace(invocation)
  const school = schoolOf(configuration)
  const ids: string[] = []
  for await (const content of readMails(invocation, stdin)) ids.push(lessonIdOf(content, school))
  workAsOwner(dataFolder)
  const gone = await forget(classifierFiles(dataFolder).learned, ids)
  terminal.print(`${gone} forgotten, ${ids.length - gone} were not known`)
  if (gone > 0) terminal.print(describe(await trainAgain(dataFolder)))
  return exitCodes.done
}

async function runTrain(invocation: Invocation): Promise<number> {
  const { dataFolder } = await loadPlace(invocation)
  workAsOwner(dataFolder)
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
  const { version, junkAt, ham: ofHam, spam: ofSpam } = await classifier.model()
  if (classifier.trouble !== undefined) terminal.warn(classifier.trouble)
  if (options.has('json')) terminal.print(JSON.stringify({ ham, spam, model: version, junkAt, ofHam, ofSpam }))
  else {
    terminal.print(`learned: ${ham} ham, ${spam} spam`)
    terminal.print(`model: ${version}, of ${ofHam} ham and ${ofSpam} spam`)
  }
  return exitCodes.done
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
