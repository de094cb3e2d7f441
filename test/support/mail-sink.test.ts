import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { fixture } from './fixtures.ts'
import { failFirst, startMailSink } from './mail-sink.ts'
import { SmtpClient } from './smtp-client.ts'

const content = 'X-Test-Id: one\r\nSubject: hello\r\n\r\n.dot\r\nend\r\n'

test('the sink keeps envelope, parameters and content as they were sent', async () => {
  const sink = await startMailSink()
  const client = await SmtpClient.ready({ port: sink.port })
  const reply = await client.send({ from: 'a@b.test', to: ['c@d.test', 'e@d.test'], content, parameters: ' SIZE=50' })
  assert.equal(reply.code, 250)
  await client.quit()
  const [message] = await sink.waitForMessages(1)
  assert.equal(message?.from, 'a@b.test')
  assert.equal(message?.mailParameters, 'SIZE=50')
  assert.deepEqual(message?.recipients, ['c@d.test', 'e@d.test'])
  assert.equal(message?.content.toString(), content)
  assert.deepEqual([...sink.copies], [['one', 1]])
  await sink.stop()
})

test('a script answers 450 the first time and 250 the second', async () => {
  const sink = await startMailSink({ respond: failFirst('rcpt', '450 4.2.0 Greylisted', 1, 'c@d.test') })
  const client = await SmtpClient.ready({ port: sink.port })
  assert.equal((await client.send({ from: '', to: ['c@d.test'], content })).code, 450)
  assert.equal((await client.command('RSET')).code, 250)
  assert.equal((await client.send({ from: '', to: ['c@d.test'], content })).code, 250)
  await client.quit()
  assert.equal(sink.messages.length, 1)
  await sink.stop()
})

test('LMTP answers each recipient by itself', async () => {
  const sink = await startMailSink({
    protocol: 'lmtp',
    respond: (event) =>
      event.stage === 'content' && event.argument === 'full@d.test' ? '552 5.2.2 Mailbox full' : undefined,
  })
  const client = await SmtpClient.connect({ port: sink.port })
  await client.reply()
  await client.command('LHLO client.test')
  const first = await client.send({ from: 'a@b.test', to: ['ok@d.test', 'full@d.test'], content })
  const second = await client.reply()
  assert.deepEqual([first.code, second.code], [250, 552])
  assert.deepEqual(sink.messages[0]?.recipients, ['ok@d.test'])
  await client.quit()
  await sink.stop()
})

test('a delayed reply waits for the test, and a dropped connection is really gone', async () => {
  let release: (answer: string) => void = () => undefined
  const gate = new Promise<string>((resolve) => {
    release = resolve
  })
  const sink = await startMailSink({ respond: (event) => (event.stage === 'data' ? gate : undefined) })
  const client = await SmtpClient.ready({ port: sink.port })
  const sending = client.send({ from: 'a@b.test', to: ['c@d.test'], content })
  await sink.waitForCommand((command) => command.endsWith('DATA'))
  release('drop')
  await assert.rejects(sending, /closed/)
  await sink.stop()
})

test('STARTTLS is offered, and broken on demand', async () => {
  const tls = {
    cert: await readFile(fixture('tls/remote.pem'), 'utf8'),
    key: await readFile(fixture('tls/remote.key'), 'utf8'),
  }
  const sink = await startMailSink({ tls })
  const client = await SmtpClient.ready({ port: sink.port, starttls: true })
  await client.send({ from: 'a@b.test', to: ['c@d.test'], content })
  assert.equal(sink.messages[0]?.secure, true)
  await client.quit()
  await sink.stop()

  const broken = await startMailSink({ brokenTls: 'garbage' })
  await assert.rejects(SmtpClient.ready({ port: broken.port, starttls: true }))
  await broken.stop()
})
