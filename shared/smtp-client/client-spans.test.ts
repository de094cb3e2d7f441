import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Mailbox } from '../mail/address.ts'
import type { Span, SpanAttributes } from '../tracing/span.ts'
import { openConnection, plainText } from './open-connection.ts'
import { startServer } from './testing.ts'
import type { ScriptedSession } from './testing.ts'

/** A span that writes down how it ended, and lets others wait for the end of one below it. */
class HeardSpan implements Span {
  readonly traceParent = ''
  readonly ended: string[]
  readonly #name: string
  readonly #waiting: Map<string, () => void>
  #told: SpanAttributes = {}

  constructor(name = '', ended: string[] = [], waiting = new Map<string, () => void>()) {
    this.#name = name
    this.ended = ended
    this.#waiting = waiting
  }

  child(name: string): Span {
    return new HeardSpan(name, this.ended, this.#waiting)
  }

  set(attributes: SpanAttributes): void {
    this.#told = { ...this.#told, ...attributes }
  }

  setPersonal(): void {}

  event(): void {}

  fail(): void {}

  end(): void {
    const { 'sluice.smtp.reply_code': code, 'sluice.recipients.refused': refused } = this.#told
    this.ended.push([this.#name, code, refused].join(' ').trimEnd())
    this.#waiting.get(this.#name)?.()
  }

  whenEnded(name: string): Promise<void> {
    if (this.ended.some((one) => one.startsWith(name))) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.set(name, resolve)
    })
  }
}

/** Sends a message to three recipients, whose commands a script answers behind EHLO. */
async function sendTo(t: TestContext, span: Span, answer: (session: ScriptedSession) => Promise<void>) {
  const server = await startServer(async (session) => {
    session.say('220 mx.test')
    await session.line()
    session.say('250-mx.test', '250 PIPELINING')
    await answer(session)
  })
  t.after(() => server.close())
  const connection = await openConnection({
    endpoint: { kind: 'tcp', host: 'localhost', address: '127.0.0.1', port: server.port },
    protocol: 'smtp',
    helo: 'client.test',
    tls: plainText,
  })
  const result = await connection.send({
    mail: { reversePath: 'a@b.example' as Mailbox, sizeBytes: 3, eightBit: false, smtpUtf8: false },
    recipients: ['c@d.example', 'e@d.example', 'f@d.example'].map((address) => ({ address })),
    content: () => [Buffer.from('x\r\n')],
    span,
  })
  await connection.close()
  return result
}

test('of commands that are sent together each span ends with its own reply', { timeout: 120_000 }, async (t) => {
  const span = new HeardSpan()
  await sendTo(t, span, async (session) => {
    for (let line = 0; line < 5; line += 1) await session.line()
    session.say('250 sender ok')
    await span.whenEnded('MAIL')
    session.say('250 ok', '550 5.1.1 no', '250 ok')
    await span.whenEnded('RCPT')
    assert.deepEqual(span.ended, ['MAIL 250', 'RCPT 550 1'])
    session.say('354 go')
    await session.content()
    session.say('250 2.0.0 queued')
  })
  assert.deepEqual(span.ended.slice(0, 3), ['MAIL 250', 'RCPT 550 1', 'DATA 354'])
})

test('a connection that breaks ends the spans of all that was not answered', { timeout: 120_000 }, async (t) => {
  const span = new HeardSpan()
  const { replies } = await sendTo(t, span, async (session) => {
    for (let line = 0; line < 5; line += 1) await session.line()
    session.say('250 sender ok', '250 ok')
    await span.whenEnded('MAIL')
    session.hangUp()
  })
  assert.equal(replies.length, 3)
  const [mail, rcpt, data] = span.ended
  assert.deepEqual([mail, rcpt], ['MAIL 250', 'RCPT 250 0'])
  assert.match(data ?? '', /^DATA 4\d\d$/)
})
