import type { PipelineSettings } from '../../shared/config/model.ts'
import { headerFields } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import { foldWords } from './fold-words.ts'
import type { Verdict } from './verdict.ts'

/**
 * The header fields that users' Sieve rules and Maildir delivery look for. `X-Spam` and `X-Spam-Flag` stand only on junk;
 * status and score on every message that was judged.
 */
export function spamEdits(verdict: Verdict, settings: PipelineSettings['spam'], header: Buffer): HeaderEdit[] {
  const { header: name } = settings
  const isJunk = verdict.action !== 'clean'
  const fields = [
    ...(isJunk ? [`${name}: Yes\r\n`, `${name}-Flag: YES\r\n`] : []),
    `${name}-Score: ${verdict.score}\r\n`,
    `${foldWords(`${name}-Status:`, statusWords(verdict, settings))}\r\n`,
  ].join('')
  const prefix = isJunk && settings.subject !== undefined ? subjectEdit(settings.subject, header) : []
  return [...prefix, { kind: 'prepend', fields }]
}

function statusWords(verdict: Verdict, settings: PipelineSettings['spam']): string[] {
  const tests = verdict.symbols.map(({ name, score }) => `${name}=${score}`)
  return [
    verdict.action === 'clean' ? 'No,' : 'Yes,',
    `score=${verdict.score}`,
    ...(settings.junk === undefined ? [] : [`required=${settings.junk}`]),
    ...(tests.length === 0 ? ['tests=none'] : commaSeparated([`tests=${tests[0]}`, ...tests.slice(1)])),
  ]
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
