import assert from 'node:assert/strict'
import { test } from 'node:test'

import { credentials, testPipeline } from './testing.ts'
import { connected, dialogue, only, start } from './testing-session.ts'

const submission = { tls: 'offered', auth: { kind: 'required', table: credentials } } as const
const login = { starttls: true, user: 'jane', password: 'secret' } as const
const holding = { pipeline: { ...testPipeline, extensions: { smtpUtf8: true, maxHoldMs: 7 * 86_400_000 } } }
const rcpt = ['RCPT TO:<jane@example.org>', '250 2.1.5'] as const
const content = [
  ['DATA', '354 '],
  ['Subject: x\r\n\r\nx\r\n.', '250 2.0.0'],
] as const

test('REQUIRETLS is offered and taken inside TLS only, and the message keeps it', async (t) => {
  const inbound = await start(t, { listener: { tls: 'offered' } })
  const client = await connected(t, inbound)
  assert.doesNotMatch((await client.command('EHLO x')).raw, /REQUIRETLS/)
  await dialogue(client, [['MAIL FROM:<a@example.net> REQUIRETLS', '555 5.5.4']])
  await client.startTls()
  assert.match((await client.command('EHLO x')).raw, /^250[ -]REQUIRETLS$/m)
  await dialogue(client, [
    ['MAIL FROM:<a@example.net> REQUIRETLS=1', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> REQUIRETLS', '250 2.1.0'],
    rcpt,
    ...content,
    ['MAIL FROM:<a@example.net>', '250 2.1.0'],
    rcpt,
    ...content,
  ])
  assert.deepEqual(
    inbound.accepted.map(({ envelope }) => envelope.requireTls),
    [true, undefined],
  )
})

test('LIMITS tells the bounds that are kept', async (t) => {
  const inbound = await start(t, { configuration: { maxRecipients: 7, maxMailsPerSession: 3 } })
  const client = await connected(t, inbound)
  assert.match((await client.command('EHLO x')).raw, /^250[ -]LIMITS MAILMAX=3 RCPTMAX=7$/m)
})

test('a user may have a message kept back, for no longer than is offered', async (t) => {
  const inbound = await start(t, { listener: submission, configuration: holding })
  const client = await connected(t, inbound, login)
  assert.match((await client.command('EHLO x')).raw, /^250[ -]FUTURERELEASE 604800 2026-11-28T03:22:05Z$/m)
  await dialogue(client, [
    ['MAIL FROM:<a@example.net> HOLDFOR=604801', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> HOLDFOR', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> HOLDFOR=60 HOLDUNTIL=2026-11-22T00:00:00Z', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> HOLDFOR=3600', '250 2.1.0'],
    rcpt,
    ...content,
  ])
  const { envelope } = only(inbound.accepted)
  assert.equal(envelope.releaseAt, Date.UTC(2026, 10, 21, 4, 22, 5))
})

test('strangers keep nothing back, and nobody does unless `future-release` is written', async (t) => {
  const open = await connected(t, await start(t, { configuration: holding }))
  assert.doesNotMatch((await open.command('EHLO x')).raw, /FUTURERELEASE/)
  await dialogue(open, [['MAIL FROM:<a@example.net> HOLDFOR=60', '555 5.5.4']])
  const user = await connected(t, await start(t, { listener: submission }), login)
  assert.doesNotMatch((await user.command('EHLO x')).raw, /FUTURERELEASE/)
  await dialogue(user, [['MAIL FROM:<a@example.net> HOLDFOR=60', '555 5.5.4']])
})
