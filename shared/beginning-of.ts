import type { Readable } from 'node:stream'

/** The first `mostBytes` of a stream, or all of it; what is behind them is not read. */
export async function beginningOf(stream: Readable, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= mostBytes) break
  }
  return Buffer.concat(chunks).subarray(0, mostBytes)
}
