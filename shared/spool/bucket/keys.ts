import { parseFileName } from '../segment-name.ts'
import type { SegmentName } from '../segment-name.ts'

/**
 * Keys of objects: `msg/<writer>/000001.msg`, the same with `big` and `draft`; an outcome log is `out/<writer>/000001.out`, and before
 * it is whole its parts, `out/<writer>/000001.out/<offset>`. By kind first, so that one kind can be listed without the others.
 */
export function keyOf(file: string): string {
  return `${file.slice(file.lastIndexOf('.') + 1)}/${file}`
}

export function partKey(file: string, offset: number): string {
  return `${keyOf(file)}/${String(offset).padStart(offsetDigits, '0')}`
}

export type ParsedKey =
  | { readonly kind: 'file'; readonly file: string; readonly name: SegmentName }
  | { readonly kind: 'part'; readonly file: string; readonly name: SegmentName; readonly offset: number }

/** `undefined`: none of the spool's files. */
export function parseKey(key: string): ParsedKey | undefined {
  const [folder, writer = '', file = '', offset, ...more] = key.split('/')
  const name = parseFileName(writer, file)
  if (name === undefined || name.extension !== folder || more.length > 0) return undefined
  const path = `${writer}/${file}`
  if (offset === undefined) return { kind: 'file', file: path, name }
  if (!/^\d{10}$/.test(offset)) return undefined
  return { kind: 'part', file: path, name, offset: Number(offset) }
}

export const alivePrefix = 'alive/'
/** Stays until nothing of the writer is left: a heartbeat that comes late does not bring it back to life. */
export const deadPrefix = 'dead/'
export const keyNamesPrefix = 'keys/'

const offsetDigits = 10
