import type { Configuration } from '../config/model.ts'
import { methodResults } from '../dkim/authentication-results.ts'
import { withoutReport } from '../mail/safe-report.ts'
import { openClassifier, classifierFiles, trainAgain } from './classifier.ts'
import type { Training } from './classifier.ts'
import { featuresOfMail } from './features.ts'
import { forget, learn, learnedOf, readLearned } from './learned-mail.ts'
import type { Learned } from './learned-mail.ts'
import { readMail } from './readable-mail.ts'
import type { ReadableMail } from './readable-mail.ts'

/** What somebody says of a message. */
export type Lesson = 'ham' | 'spam'

/** Whose word about the origin of a message counts, and what the filter itself writes into it. */
export interface School {
  readonly authservId: string
  /** `spam subject`. */
  readonly subject?: string | undefined
}

export function schoolOf({ authservId, pipeline }: Pick<Configuration, 'authservId' | 'pipeline'>): School {
  return { authservId, subject: pipeline.spam.subject }
}

/** What is kept of a message that is learned; `forged`: it failed authentication when it came in, and teaches nothing. */
export function lessonOf(content: Buffer, lesson: Lesson, school: School): Learned | 'forged' {
  const delivered = readMail(content)
  if (isForged(delivered, school.authservId)) return 'forged'
  const own = withoutReport(content)
  const mail = own === content ? delivered : readMail(own)
  return learnedOf(featuresOfMail(withoutMark(mail, school.subject)), lesson === 'spam')
}

export type Taught = 'learned' | 'known' | 'forged'

/** Learns one message; a later lesson about the same one takes the place of an earlier. */
export async function teach(dataFolder: string, content: Buffer, lesson: Lesson, school: School): Promise<Taught> {
  const learned = lessonOf(content, lesson, school)
  if (learned === 'forged') return learned
  return (await learn(classifierFiles(dataFolder).learned, [learned])) === 0 ? 'known' : 'learned'
}

/** Takes back what was learned of a message, as ham or as spam. @returns whether anything was */
export async function unteach(dataFolder: string, content: Buffer, school: School): Promise<boolean> {
  return (await forget(classifierFiles(dataFolder).learned, [lessonIdOf(content, school)])) > 0
}

/** What a message is known by, wherever it lies. */
export function lessonIdOf(content: Buffer, { subject }: School): string {
  return learnedOf(featuresOfMail(withoutMark(readMail(withoutReport(content)), subject)), false).id
}

/** So many new messages are worth the seconds that a new model takes; or that part of what is known. */
const [worthTraining, worthShare] = [20, 0.02]

/** Makes a new model when enough was learned since the last one; its CPU time is about a millisecond for each message. */
export async function trainIfWorth(dataFolder: string): Promise<Training | undefined> {
  const learned = await readLearned(classifierFiles(dataFolder).learned)
  const model = await openClassifier(dataFolder, Date.now).model()
  const known = model.version.startsWith('site') ? model.ham + model.spam : 0
  const waiting = learned.length - known
  if (known > 0 && waiting < Math.max(worthTraining, known * worthShare)) return undefined
  return trainAgain(dataFolder)
}

/**
 * Whether results of authentication (RFC 8601 §2.2, with or without the authserv-id) say that a message is not from whom it claims: DMARC failed, or SPF did and
 * DMARC proved nothing. Its words are then as little its author's as his address.
 */
export function failsAuthentication(results: string): boolean {
  const found = new Set(methodResults(`;${results}`).map(({ method, result }) => `${method}=${result}`))
  return found.has('dmarc=fail') || (found.has('spf=fail') && !found.has('dmarc=pass'))
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
  return ours !== undefined && failsAuthentication(ours.value)
}
