import { headerFields } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import { foldWords } from './fold-words.ts'
import type { SpamRules } from '../../shared/spam/spam-policy.ts'
import type { Verdict } from './verdict.ts'

/**
 * The header fields that users' Sieve rules and Maildir delivery look for. `X-Spam`, `X-Spam-Flag` and the report stand only on
 * junk; score, level and status on every message that was judged. Numbers are written as they count.
 */
export function spamEdits(verdict: Verdict, rules: SpamRules, header: Buffer): HeaderEdit[] {
  const { header: name } = rules
  const isJunk = verdict.action !== 'clean'
  const level = '*'.repeat(Math.max(0, Math.min(mostStars, Math.floor(verdict.score))))
  const fields = [
    ...(isJunk ? [`${name}: Yes\r\n`, `${name}-Flag: YES\r\n`] : []),
    `${name}-Score: ${verdict.score}\r\n`,
    ...(level === '' ? [] : [`${name}-Level: ${level}\r\n`]),
    `${foldWords(`${name}-Status:`, statusWords(verdict, rules))}\r\n`,
    ...(isJunk ? [`${name}-Report: ${reportLines(verdict).join('\r\n\t')}\r\n`] : []),
  ].join('')
  const prefix = isJunk && rules.subject !== undefined ? subjectEdit(rules.subject, header) : []
  return [...prefix, { kind: 'prepend', fields }]
}

const mostStars = 50
/** A job carries the edits; the story tells the rest. */
const mostSymbols = 30
const mostTextLength = 120

function statusWords({ action, score, symbols }: Verdict, rules: SpamRules): string[] {
  const tests = symbols.slice(0, mostSymbols).map((symbol) => `${symbol.name}=${symbol.score}`)
  return [
    action === 'clean' ? 'No,' : 'Yes,',
    `score=${score}`,
    ...(rules.junk === undefined ? [] : [`required=${rules.junk}`]),
    ...(tests.length === 0 ? ['tests=none'] : commaSeparated([`tests=${tests[0]}`, ...tests.slice(1)])),
  ]
}

/** Why it is junk, then a line for each finding; all of it US-ASCII. */
export function reportLines({ reason, symbols }: Verdict): readonly string[] {
  return [
    visible(reason),
    ...symbols
      .slice(0, mostSymbols)
      .map(({ name, score, text }) => `* ${score.toFixed(1).padStart(4)} ${name} ${visible(text)}`.trimEnd()),
  ]
}

/** Findings quote the message: no octet of it may end the field or show as anything but itself. */
function visible(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, mostTextLength)
}

function commaSeparated(words: readonly string[]): string[] {
  return words.map((word, index) => (index < words.length - 1 ? `${word},` : word))
}

/** Puts the prefix before the Subject, once, whatever its encoding and folding. */
function subjectEdit(prefix: string, header: Buffer): HeaderEdit[] {
  const field = headerFields(header).find((one) => one.name === 'subject')
  if (field === undefined) return [{ kind: 'replace', name: 'Subject', field: `Subject: ${prefix}\r\n` }]
  const text = decode(field.raw)
  const value = text.slice(text.indexOf(':') + 1)
  if (value.trimStart().startsWith(prefix)) return []
  return [{ kind: 'replace', name: 'Subject', field: `Subject: ${prefix}${/^[ \t]/.test(value) ? '' : ' '}${value}` }]
}

/** Edits are UTF-8; octets that are none are read as latin1, so that each still shows as a letter. */
function decode(raw: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(raw)
  } catch {
    return raw.toString('latin1')
  }
}
