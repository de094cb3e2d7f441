import { parseFileName } from '../segment-name.ts'
import type { SegmentName } from '../segment-name.ts'

/**
 * Keys of objects: `msg/<writer>/000001.msg`, `octets/<writer>/000001.big`, `pending/<writer>/000002.draft`; an outcome log is
 * `result/<writer>/000001.out`, and before it is whole its parts, `result/<writer>/000001.out/<offset>`. By kind first, in an order that one
 * listing goes through as a look at a spool must: records before the contents they name and before their outcomes, and who writes last.
 */
export function keyOf(file: string): string {
  const extension = file.slice(file.lastIndexOf('.') + 1)
  return `${Object.entries(kinds).find(([, of]) => of === extension)?.[0] ?? extension}/${file}`
}

const kinds: Readonly<Record<string, SegmentName['extension']>> = {
  msg: 'msg',
  octets: 'big',
  pending: 'draft',
  result: 'out',
}

/** Begins the keys of outcome logs. */
export const outcomePrefix = 'result/'

export function partKey(file: string, offset: number): string {
  return `${keyOf(file)}/${String(offset).padStart(offsetDigits, '0')}`
}

export type ParsedKey =
  | { readonly kind: 'file'; readonly file: string; readonly name: SegmentName }
  | { readonly kind: 'part'; readonly file: string; readonly name: SegmentName; readonly offset: number }

/** `undefined`: none of the spool's files. */
export function parseKey(key: string): ParsedKey | undefined {
  const [kind = '', writer = '', file = '', offset, ...more] = key.split('/')
  const name = parseFileName(writer, file)
  if (name === undefined || name.extension !== kinds[kind] || more.length > 0) return undefined
  const path = `${writer}/${file}`
  if (offset === undefined) return { kind: 'file', file: path, name }
  if (!/^\d{10}$/.test(offset)) return undefined
  return { kind: 'part', file: path, name, offset: Number(offset) }
}

export const alivePrefix = 'writers/alive/'
/** Stays until nothing of the writer is left: a heartbeat that comes late does not bring it back to life. */
export const deadPrefix = 'writers/dead/'
export const keyNamesPrefix = 'keys/'

const offsetDigits = 10
