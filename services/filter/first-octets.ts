import type { ScanMessage } from './engine.ts'

/** The beginning of a message: a long one is not held in memory for it. */
export async function firstOctets(message: ScanMessage, mostBytes: number): Promise<Buffer> {
  if (message.sizeBytes <= mostBytes) return message.content()
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of message.stream() as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= mostBytes) break
  }
  return Buffer.concat(chunks).subarray(0, mostBytes)
}
