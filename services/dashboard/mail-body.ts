import type { Readable } from 'node:stream'

import type { FastifyInstance, FastifyRequest } from 'fastify'

import { mostReadBytes } from '../../shared/classifier/readable-mail.ts'

/** Messages as large as that may be sent along; only what the classifier reads of them is kept in memory. */
export const mostMailBytes = 256 * 1024 * 1024

/** `message/rfc822`: the beginning of a message that a program sends along. */
export function addMailParser(app: FastifyInstance): void {
  app.addContentTypeParser('message/rfc822', async (_request: FastifyRequest, body: Readable) => beginningOf(body))
}

/** Undefined: no message came along. */
export function mailOf({ body }: FastifyRequest): Buffer | undefined {
  return Buffer.isBuffer(body) && body.length > 0 ? body : undefined
}

/** Reads to the end, so that whoever sends gets to hear the answer. */
async function beginningOf(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    if (length < mostReadBytes) chunks.push(chunk)
    length += chunk.length
  }
  return Buffer.concat(chunks).subarray(0, mostReadBytes)
}
