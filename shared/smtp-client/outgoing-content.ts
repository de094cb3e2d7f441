import type { HeaderEdit } from '../mail/header-edit.ts'
import { editMessage, onlyPrepends, prepended } from '../mail/header-edit.ts'
import type { Content } from './transaction.ts'

/** What is needed of a stored message: a spool record, or a test's. */
export interface ContentSource {
  readonly locator: { readonly sizeBytes: number; readonly headerBytes: number }
  header(): Promise<Buffer>
  content(): Promise<Buffer>
  stream(start?: number): AsyncIterable<Buffer>
}

/** A message as it leaves us: edits applied to the stored octets, trace fields on top. */
export interface OutgoingContent {
  readonly sizeBytes: number
  /** Can be called again for another attempt. */
  readonly read: () => Content
}

/** Up to this size a message is sent from memory, in one write. */
const inMemoryBytes = 262_144

/** @param fields trace fields of the last hop, each with its CRLF; the first on top of all */
export async function outgoingContent(
  stored: ContentSource,
  edits: readonly HeaderEdit[],
  fields = '',
): Promise<OutgoingContent> {
  const { sizeBytes, headerBytes } = stored.locator
  const isWhole = onlyPrepends(edits)
  const skipped = isWhole ? 0 : headerBytes
  const { top, tail } = isWhole ? { top: prepended(edits), tail: nothing } : around(await stored.header(), edits)
  const head = fields === '' ? top : Buffer.concat([Buffer.from(fields), top])
  const total = head.length + sizeBytes - skipped + tail.length
  if (sizeBytes > inMemoryBytes) return { sizeBytes: total, read: () => streamed(head, stored, skipped, tail) }
  const content = await stored.content()
  const pieces = [head, skipped === 0 ? content : content.subarray(skipped), ...(tail.length === 0 ? [] : [tail])]
  return { sizeBytes: total, read: () => pieces }
}

const nothing = Buffer.alloc(0)

/** What goes before and behind the stored body. */
function around(header: Buffer, edits: readonly HeaderEdit[]): { readonly top: Buffer; readonly tail: Buffer } {
  const edited = editMessage(header, edits)
  return { top: Buffer.concat([edited.header, edited.before]), tail: edited.after }
}

async function* streamed(head: Buffer, stored: ContentSource, skipped: number, tail: Buffer): AsyncIterable<Buffer> {
  if (head.length > 0) yield head
  yield* stored.stream(skipped)
  if (tail.length > 0) yield tail
}
