import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { SmtpClient } from '../../test/support/smtp-client.ts'
import { credentials } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'
import { connected, dialogue, only, start } from './testing-session.ts'

const message = 'From: a@example.net\r\nSubject: x\r\n\r\n.\r\nHello\r\n'
const mail = ['MAIL FROM:<a@example.net>', '250 2.1.0'] as const
const rcpt = ['RCPT TO:<jane@example.org>', '250 2.1.5'] as const

async function ready(t: TestContext, options: TestInboundOptions = {}): Promise<[TestInbound, SmtpClient]> {
  const inbound = await start(t, options)
  const client = await connected(t, inbound)
  return [inbound, client]
}

/** Everything at once, then the replies. */
async function pipelined(client: SmtpClient, octets: string, replies: readonly string[]): Promise<void> {
  client.write(Buffer.from(octets, 'latin1'))
  for (const expected of replies) {
    const { raw } = await client.reply()
    assert.ok(raw.startsWith(expected), `expected ${expected}\n  got      ${raw}`)
  }
}

/** The same behind MAIL and RCPT, which are accepted. */
function pipelinedChunks(client: SmtpClient, octets: string, replies: readonly string[]): Promise<void> {
  return pipelined(client, `${mail[0]}\r\n${rcpt[0]}\r\n${octets}`, [mail[1], rcpt[1], ...replies])
}

test('a message in chunks, sent all at once, is the message; dots in it are dots', async (t) => {
  const [inbound, client] = await ready(t)
  assert.match((await client.command('EHLO x')).raw, /CHUNKING/)
  const [first, second] = [message.slice(0, 25), message.slice(25)]
  await pipelinedChunks(
    client,
    `BDAT ${first.length}\r\n${first}BDAT 0\r\nbdat ${second.length} last\r\n${second}NOOP\r\n`,
    ['250 2.0.0 25 octets', '250 2.0.0 0 octets', '250 2.0.0 Ok: queued as', '250 2.0.0 Ok'],
  )
  assert.equal(only(inbound.accepted).content, message)
})

test('the last chunk may be empty, and a last line without its end gets one', async (t) => {
  const [inbound, client] = await ready(t)
  await pipelinedChunks(client, `BDAT 13\r\nA: b\r\n\r\nHelloBDAT 0 LAST\r\n`, [
    '250 2.0.0 13 octets',
    '250 2.0.0 Ok: queued',
  ])
  assert.equal(only(inbound.accepted).content, 'A: b\r\n\r\nHello\r\n')
})

test('the octets of a refused chunk are never commands', async (t) => {
  const [inbound, client] = await ready(t)
  const smuggled = 'MAIL FROM:<x@y.test>\r\n'
  await pipelined(client, `BDAT ${smuggled.length} LAST\r\n${smuggled}NOOP\r\n`, ['503 5.5.1', '250 2.0.0'])
  await pipelined(client, `${mail[0]}\r\nBDAT ${smuggled.length}\r\n${smuggled}NOOP\r\n`, ['250', '503 5.5.1', '250'])
  assert.deepEqual(inbound.accepted, [])
})

test('a chunk whose length is not a number ends the session: nobody knows where commands go on', async (t) => {
  const sizes = ['', 'x', '-1', '+1', '5 LASTING', '5 LAST 5', '5LAST', '0x10', '1e3', '99999999999999999999']
  for (const size of sizes) {
    const [, client] = await ready(t)
    assert.match((await client.command(`BDAT ${size}`)).raw, /^501 5\.5\.4/, size)
    await client.waitForClose()
  }
})

test('a line that was meant as BDAT and is none ends the session, too', async (t) => {
  const smuggled = 'MAIL FROM:<evil@example.net>\r\n'
  const long = [3_000, 12_400, 40_000].map((blanks) => `BDAT 30${' '.repeat(blanks)}`)
  for (const line of ['BDAT\t30 LAST', 'BDAT 30\tLAST', 'bdat\x0030', ...long]) {
    const [, client] = await ready(t)
    client.write(`${line}\r\n${smuggled}`)
    assert.match((await client.reply()).raw, /^500 5\.5\.2/, line)
    await assert.rejects(client.reply())
  }
})

test('a chunk larger than any message is not even read', async (t) => {
  const [, client] = await ready(t)
  await pipelinedChunks(client, 'BDAT 999999999999\r\nx', ['552 5.3.4'])
  await client.waitForClose()
})

test('what is wrong is told at the end of its chunk; the chunks behind it are read, and refused', async (t) => {
  const [inbound, client] = await ready(t)
  const aborted = inbound.nextAbort()
  await pipelinedChunks(client, `BDAT 6\r\nA: b\n\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\n`, [
    '550 5.6.0',
    '503 5.5.1',
    '250 2.0.0',
  ])
  await aborted
  await pipelinedChunks(client, `BDAT ${message.length} LAST\r\n${message}`, ['250'])
  assert.equal(inbound.accepted.length, 1)
})

test('a CR LF cut in two is one; a CR that stays alone is none', async (t) => {
  const [inbound, client] = await ready(t)
  await pipelinedChunks(client, `BDAT 5\r\nA: b\rBDAT 1 LAST\r\n\n`, ['250', '250'])
  await pipelinedChunks(client, `BDAT 5 LAST\r\nA: b\r`, ['550 5.6.0'])
  assert.equal(only(inbound.accepted).content, 'A: b\r\n')
})

test('between chunks no other way of sending begins, and RSET forgets them', async (t) => {
  const [inbound, client] = await ready(t)
  await pipelinedChunks(client, `BDAT 6\r\nA: b\r\n`, ['250'])
  await dialogue(client, [
    ['DATA', '503 5.5.1'],
    ['RCPT TO:<john@example.org>', '503 5.5.1'],
    ['MAIL FROM:<b@example.net>', '503 5.5.1'],
    ['NOOP', '250'],
  ])
  const aborted = inbound.nextAbort()
  await dialogue(client, [['RSET', '250']])
  await aborted
  await pipelined(client, 'BDAT 6 LAST\r\nA: b\r\n', ['503 5.5.1'])
  const { raw } = await client.send({ from: 'a@example.net', to: ['jane@example.org'], content: message })
  assert.match(raw, /^250/)
  assert.equal(only(inbound.accepted).content, message)
})

test('the limits are those of DATA', async (t) => {
  const [, client] = await ready(t, { configuration: { maxMessageBytes: 1_000 }, limits: { headerBytes: 500 } })
  const big = `A: b\r\n\r\n${'x'.repeat(996)}\r\n`
  await pipelinedChunks(client, `BDAT ${big.length} LAST\r\n${big}`, ['552 5.3.4'])
  const header = `A: ${'x'.repeat(600)}\r\n`
  await pipelinedChunks(client, `BDAT ${header.length}\r\n${header}`, ['552 5.3.4'])
  const hops = 'Received: x\r\n'.repeat(30)
  const [, other] = await ready(t, { limits: { hops: 20 } })
  await pipelined(other, `${mail[0]}\r\n${rcpt[0]}\r\nBDAT ${hops.length} LAST\r\n${hops}`, ['250', '250', '554 5.4.6'])
  client.write('BDAT 999999999 LAST\r\nx')
  assert.match((await client.reply()).raw, /^552 5\.3\.4/)
  await client.waitForClose()
})

test("a user's bare line ends are repaired as in DATA", async (t) => {
  const listener = { tls: 'offered', auth: { kind: 'required', table: credentials } } as const
  const inbound = await start(t, { listener })
  const client = await connected(t, inbound, { starttls: true, user: 'jane', password: 'secret' })
  await pipelinedChunks(client, `BDAT 5\r\nA: b\nBDAT 7 LAST\r\n\nHello\n`, ['250', '250 2.0.0 Ok: queued'])
  assert.equal(only(inbound.accepted).content, 'A: b\r\n\r\nHello\r\n')
})

test('a client that leaves in the middle of a chunk leaves nothing', async (t) => {
  const [inbound, client] = await ready(t)
  await pipelinedChunks(client, `BDAT 4\r\nA: bBDAT 100\r\nxx`, ['250'])
  const aborted = inbound.nextAbort()
  client.destroy()
  await aborted
  assert.deepEqual(inbound.accepted, [])
})
