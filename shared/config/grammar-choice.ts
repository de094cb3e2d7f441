import type { ReadText } from './lexer.ts'
import { resolvePath } from './path.ts'
import type { Grammar } from './policy-draft.ts'

const maximumFiles = 1000
const oldSettings = /^(?:expire|bounce-warn|limit|max-message-size|max-mta-deferred|subaddressing-delimiter)$/
const modernSettings = /^(?:filter|proc|smtp|bounce|srs|mta|mda|scheduler|admd)$/

/**
 * Which of the two grammars a file is written in (section 4, last paragraph): its first rule says so, else the first rule of the
 * files it includes, else its settings. A file that cannot be read says nothing here; the lexer tells it.
 */
export function grammarOfFile(path: string, read: ReadText): Grammar {
  return findGrammar(path, read, new Set()) ?? 'modern'
}

/** The same for one text; files that it includes are not asked. */
export function grammarOf(text: string): Grammar {
  const { rule, setting } = signsIn(text)
  return rule ?? setting ?? 'modern'
}

function findGrammar(path: string, read: ReadText, asked: Set<string>): Grammar | undefined {
  if (asked.has(path) || asked.size > maximumFiles) return undefined
  asked.add(path)
  const text = textOf(path, read)
  if (text === undefined) return undefined
  const { rule, setting, includes } = signsIn(text)
  if (rule !== undefined) return rule
  for (const included of includes) {
    const found = findGrammar(resolvePath(included, path), read, asked)
    if (found !== undefined) return found
  }
  return setting
}

interface Signs {
  rule?: Grammar
  setting?: Grammar
  readonly includes: string[]
}

function signsIn(text: string): Signs {
  const signs: Signs = { includes: [] }
  for (const line of logicalLines(text)) {
    const words = line.trim().split(/\s+/)
    const [first = ''] = words
    if (first === 'accept' || first === 'reject') return { ...signs, rule: 'old' }
    if (first === 'match' || first === 'action') return { ...signs, rule: 'modern' }
    if (oldSettings.test(first) || (first === 'pki' && words.includes('certificate'))) signs.setting ??= 'old'
    if (modernSettings.test(first)) signs.setting ??= 'modern'
    const included = /^include\s+(["'])(.*)\1/.exec(line.trim())?.[2]
    if (included !== undefined) signs.includes.push(included)
  }
  return signs
}

function textOf(path: string, read: ReadText): string | undefined {
  try {
    return read(path)
  } catch {
    return undefined
  }
}

function* logicalLines(text: string): Generator<string> {
  let begun = ''
  for (const line of text.split('\n')) {
    const whole = begun + line.replace(/\r$/, '')
    if (whole.endsWith('\\')) {
      begun = `${whole.slice(0, -1)} `
      continue
    }
    begun = ''
    yield whole.replace(/^\u{FEFF}/u, '')
  }
}
