import { randomBytes } from 'node:crypto'

/** Names below the spool folder. A name starting with a dot is still being made and belongs to nobody yet. */

export const relocatedFolder = 'relocated'
/** Apart from the records, of which there may be many: outcome logs are looked for before each repeated attempt. */
export const relocatedLogFolder = 'relocated-out'
export const aliveFile = 'alive'

export type LogExtension = 'msg' | 'out'

export interface SegmentName {
  readonly writer: string
  readonly sequence: number
  /** `big`: the content of a large message; `draft`: the record of a message that is not accepted yet. */
  readonly extension: LogExtension | 'big' | 'draft'
}

const writerPattern = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?-[0-9a-f]{12}$/
const filePattern = /^(\d{6,10})\.(msg|out|big|draft)$/

/** @throws RangeError when the prefix is not made of a-z, 0-9 and inner hyphens. */
export function newWriterName(prefix: string): string {
  const name = `${prefix}-${randomBytes(6).toString('hex')}`
  if (!isWriterName(name)) throw new RangeError(`'${prefix}' cannot begin the name of a writer: use a-z, 0-9 and '-'`)
  return name
}

export function isWriterName(name: string): boolean {
  return writerPattern.test(name)
}

export function fileName(sequence: number, extension: SegmentName['extension']): string {
  return `${String(sequence).padStart(6, '0')}.${extension}`
}

export function segmentPath(writer: string, sequence: number, extension: SegmentName['extension']): string {
  return `${writer}/${fileName(sequence, extension)}`
}

/** Reads a file name in a writer's folder. */
export function parseFileName(writer: string, name: string): SegmentName | undefined {
  const match = filePattern.exec(name)
  if (match === null) return undefined
  return { writer, sequence: Number(match[1]), extension: match[2] as SegmentName['extension'] }
}

/** Reads `<writer>/<sequence>.<extension>`; a path that leads anywhere else is `undefined`. */
export function parseSegmentPath(path: string): SegmentName | undefined {
  const slash = path.indexOf('/')
  const writer = path.slice(0, slash)
  return slash > 0 && isWriterName(writer) ? parseFileName(writer, path.slice(slash + 1)) : undefined
}

/** Where the record of `segment` at `offset` lies after it was moved out of its segment; its locator stays. */
export function relocatedRecord(segment: string, offset: number): string {
  return `${relocatedFolder}/${segment.replace('/', '.').replace(/\.msg$/, '')}.${offset}.msg`
}

/** Where a content file or an outcome log lies after it was moved. */
export function relocatedFile(path: string): string {
  return `${path.endsWith('.out') ? relocatedLogFolder : relocatedFolder}/${path.replace('/', '.')}`
}

export type RelocatedName =
  | { readonly kind: 'record'; readonly segment: string; readonly offset: number }
  | { readonly kind: 'big' | 'out'; readonly segment: string }

/** Reads the name of a relocated file: where it came from. */
export function parseRelocatedName(name: string): RelocatedName | undefined {
  const match = /^([a-z0-9-]+)\.(\d{6,10})\.(?:(\d+)\.msg|(big|out))$/.exec(name)
  const writer = match?.[1] ?? ''
  if (match === null || !isWriterName(writer)) return undefined
  if (match[3] !== undefined) return { kind: 'record', segment: `${writer}/${match[2]}.msg`, offset: Number(match[3]) }
  const kind = match[4] === 'big' ? 'big' : 'out'
  return { kind, segment: `${writer}/${match[2]}.${kind}` }
}
