import { createHash } from 'node:crypto'

import type { ClientReply } from './smtp-client.ts'

export interface TestMessage {
  readonly id: string
  readonly from?: string
  readonly to?: string
  readonly subject?: string
  readonly body?: string
}

/** A proper message with CRLF line ends and X-Test-Id, by which the mail sink tells copies apart. */
export function testMessage(message: TestMessage): string {
  const { id, from = 'sender@remote.test', to = 'jane@sluice.test', subject = id, body = 'hello' } = message
  return [
    `From: <${from}>`,
    `To: <${to}>`,
    `Subject: ${subject}`,
    'Date: Fri, 20 Nov 2026 12:00:00 +0000',
    `Message-ID: <${id}@remote.test>`,
    `X-Test-Id: ${id}`,
    '',
    ...body.split('\n'),
    '',
  ].join('\r\n')
}

/** A body that only this id has: lines of several lengths, some with leading dots. */
export function bodyOf(id: string, sizeBytes: number): string {
  const lines: string[] = []
  for (let octets = 0, number = 0; octets < sizeBytes; number++) {
    const line = `${number % 7 === 0 ? '.' : ''}${createHash('sha256').update(`${id}/${number}`).digest('base64')}`
    lines.push(line)
    octets += line.length + 2
  }
  return lines.join('\n')
}

/** Hex SHA-256 of the body as it goes over the wire. */
export function bodySha256(body: string): string {
  return createHash('sha256')
    .update(`${body.replaceAll('\n', '\r\n')}\r\n`)
    .digest('hex')
}

/** Sluice's id out of the reply to the final dot, `250 2.0.0 <id> ...`. @throws Error when there is none. */
export function idOf(reply: ClientReply): string {
  const id = /\b([0-9a-z]{18})\b/.exec(reply.raw)?.[1]
  if (reply.code !== 250 || id === undefined) throw new Error(`no acceptance with an id: ${reply.raw}`)
  return id
}
