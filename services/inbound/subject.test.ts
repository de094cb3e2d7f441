import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { usualEvents } from '../../shared/config/pipeline-system.ts'
import { subjectIn } from './subject.ts'
import { connected, start } from './testing-session.ts'
import { testPipeline } from './testing.ts'

test('a subject is read as its reader sees it: folded, encoded, in UTF-8, the first one', () => {
  for (const [section, subject] of [
    ['From: a@b\r\nSubject: Hello\r\nTo: c@d\r\n\r\n', 'Hello'],
    ['SUBJECT :\r\n one\r\n\ttwo\r\nSubject: other\r\n\r\n', 'one two'],
    ['Subject: =?utf-8?B?R3LDvMOfZQ==?= =?iso-8859-1?q?_aus_K=F6ln?=\r\n\r\n', 'Grüße aus Köln'],
    ['X-Subject: no\r\n\r\n', undefined],
    ['Subject:\r\nTo: x\r\n\r\n', undefined],
    ['Subject: Grüße\r\n', 'Grüße'],
    ['Subject: a\u0000b', 'a b'],
    [`Subject: ${'x'.repeat(5_000)}\r\n`, 'x'.repeat(256)],
  ] as const)
    assert.equal(subjectIn(Buffer.from(section)), subject, section.slice(0, 60))
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
      const subject = subjectIn(Buffer.concat([Buffer.from('Subject:'), octets]))
      assert.ok(subject === undefined || subject.length <= 256)
    }),
  )
})

test('a subject is told with `events subjects`, and nowhere without', async (t) => {
  for (const [events, told] of [
    [usualEvents, undefined],
    [{ ...usualEvents, subjects: true }, 'Hello'],
  ] as const) {
    const inbound = await start(t, { configuration: { pipeline: { ...testPipeline, events } } })
    const client = await connected(t, inbound)
    const content = 'From: a@example.net\r\nSubject: Hello\r\n\r\nHello Jane\r\n'
    await client.send({ from: 'a@example.net', to: ['jane@example.org'], content })
    const received = inbound.told[inbound.events.indexOf('received')] as { readonly subject?: string }
    assert.equal(received.subject, told)
    assert.equal(JSON.stringify(inbound.told).includes('Hello'), told !== undefined)
    await client.quit()
  }
})
