import type { TextFiles } from '../config/text-files.ts'
import { parseAliasValue, type AliasTarget } from './alias-value.ts'

const maximumBytes = 256 * 1024

/** What a file of targets gives: those of its lines, or why it gives none. */
export type FileTargets =
  | { readonly kind: 'targets'; readonly targets: readonly AliasTarget[] }
  /** There is no such file. */
  | { readonly kind: 'none' }
  /** For the log and the postmaster: temporary, as somebody can mend it. */
  | { readonly kind: 'unusable'; readonly why: string }

/** `:include:/path` of an alias: targets in lines, each as in a table; `#` begins a comment. */
export function includedTargets(files: TextFiles, path: string): FileTargets {
  try {
    const file = files.read(path, maximumBytes)
    return file === undefined ? { kind: 'none' } : { kind: 'targets', targets: targetsOfLines(file.text) }
  } catch (error) {
    return { kind: 'unusable', why: error instanceof Error ? error.message : String(error) }
  }
}

export function targetsOfLines(text: string): readonly AliasTarget[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap((line) => parseAliasValue(line))
}
