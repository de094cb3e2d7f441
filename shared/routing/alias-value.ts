import { faultOfCommand } from '../config/argv.ts'

/** What an alias or a virtual user stands for. */
export type AliasTarget =
  | { readonly kind: 'user' | 'address'; readonly text: string }
  | { readonly kind: 'error'; readonly code: number; readonly text: string }
  /** `|command`, `/file`, the path of `:include:/file`. */
  | { readonly kind: 'command' | 'file' | 'include'; readonly text: string }
  /** Nothing that can be carried out. */
  | { readonly kind: 'unusable'; readonly text: string }

/** Comma separated values; quotes and backslashes are respected (section 7, step 4). */
export function parseAliasValue(value: string): readonly AliasTarget[] {
  const error = /^:?error:\s*(\d{3})?\s*(.*)$/is.exec(value.trim())
  if (error !== null) return [errorTarget(error[1], error[2] ?? '')]
  return splitValues(value)
    .filter((text) => text !== '')
    .map((text) => targetOf(text))
}

function targetOf(text: string): AliasTarget {
  if (text.startsWith('|')) return commandTarget(text.slice(1).trim())
  if (text.startsWith('/')) return isPath(text) ? { kind: 'file', text } : { kind: 'unusable', text }
  const [, include] = /^:include:\s*(.*)$/is.exec(text) ?? []
  if (include !== undefined) return isPath(include) ? { kind: 'include', text: include } : { kind: 'unusable', text }
  if (text.includes('@')) return { kind: 'address', text }
  return /^[A-Za-z0-9_.+-]+$/.test(text) ? { kind: 'user', text: text.toLowerCase() } : { kind: 'unusable', text }
}

/** What needs a shell is not run. */
function commandTarget(text: string): AliasTarget {
  return { kind: faultOfCommand(text, 'mda') === undefined ? 'command' : 'unusable', text }
}

function isPath(text: string): boolean {
  return text.startsWith('/') && !text.endsWith('/') && !/\0|\/\.\.?(?:\/|$)/.test(text)
}

/** Only 4xx and 5xx are failures; anything else means "no such user". */
function errorTarget(code: string | undefined, text: string): AliasTarget {
  const valid = code !== undefined && /^[45]/.test(code)
  return { kind: 'error', code: valid ? Number(code) : 550, text: text === '' ? 'Invalid recipient' : text }
}

function splitValues(value: string): readonly string[] {
  const values: string[] = []
  let current = ''
  let quote = false
  for (let at = 0; at < value.length; at += 1) {
    const char = value[at] ?? ''
    if (char === '\\' && at + 1 < value.length) {
      at += 1
      current += value[at] ?? ''
    } else if (char === '"') {
      quote = !quote
    } else if (char === ',' && !quote) {
      values.push(current.trim())
      current = ''
    } else {
      current += char
    }
  }
  return [...values, current.trim()]
}
