import assert from 'node:assert/strict'
import { test } from 'node:test'

import { usualEvents } from '../../shared/config/pipeline-system.ts'
import { SmtpTalk } from '../../shared/smtp-talk.ts'
import { connected, start } from './testing-session.ts'
import { testPipeline } from './testing.ts'

const content = 'From: a@example.net\r\nSubject: secret\r\n\r\nHello Jane\r\n'

test('what client and server said is told with a message, without its content, where that is asked for', async (t) => {
  const talkOf = async (smtpTalk: boolean): Promise<readonly (readonly string[] | undefined)[]> => {
    const events = { ...usualEvents, ...(smtpTalk ? { smtpTalk: true as const } : {}) }
    const inbound = await start(t, { configuration: { pipeline: { ...testPipeline, events } } })
    const client = await connected(t, inbound)
    for (const to of ['jane@example.org', 'jane+two@example.org'])
      await client.send({ from: 'a@example.net', to: [to], content })
    await client.quit()
    const received = inbound.told.filter((_fields, index) => inbound.events[index] === 'received')
    assert.doesNotMatch(JSON.stringify(received), /secret|Hello Jane/)
    return received.map((fields) => (fields as { readonly talk?: readonly string[] }).talk)
  }
  assert.deepEqual(await talkOf(false), [undefined, undefined])
  const [first = [], second = []] = await talkOf(true)
  const told = first.join('\n')
  assert.match(
    told,
    /^S: 220 [^]*\nC: EHLO client\.test\nS: 250-[^]*\nC: MAIL FROM:<a@example\.net>[^]*\nS: 250 [^]*C: RCPT TO:<jane@example\.org>[^]*\nC: DATA\nS: 354 [^\n]*\nS: 250 2\.0\.0 Ok: queued as \w{18}$/,
  )
  assert.match(second.join('\n'), /^S: 220 [^]*RCPT TO:<jane\+two@example\.org>/)
  assert.doesNotMatch(second.join('\n'), /jane@/)
})

test('no credentials and nothing that is no command is written down, and a long talk loses its middle', () => {
  const talk = new SmtpTalk()
  talk.server('220 mx\r\n')
  talk.client('auth PLAIN AGpvZQBzZWNyZXQ=', false)
  talk.server('334 UGFzc3dvcmQ6\r\n')
  talk.client('c2VjcmV0', true)
  talk.client('c2VjcmV0', false)
  talk.client('AUTHPLAIN c2VjcmV0', false)
  talk.both('TLSv1.3')
  assert.deepEqual(talk.lines(), [
    'S: 220 mx',
    'C: auth PLAIN ********',
    'S: 334 ********',
    'C: ********',
    'C: (no command)',
    'C: (no command)',
    '*: TLSv1.3',
  ])
  talk.client('MAIL FROM:<a@b>', false)
  for (let n = 0; n < 1_000; n += 1) talk.client(`RCPT TO:<${'x'.repeat(300)}${n}@b>`, false)
  const lines = talk.lines()
  assert.equal(lines.length, 61)
  assert.match(lines[30] ?? '', /lines are left out/)
  assert.ok(lines.every((line) => line.length <= 200))
})
