import assert from 'node:assert/strict'
import { test } from 'node:test'

import { redisMissing } from '../../shared/queue/testing.ts'
import { parseMailbox } from '../../shared/mail/address.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import { smtpctlEnvelope } from './smtpctl-envelope.ts'
import { openBench } from './testing.ts'

const configuration = { actions: new Map(), hostname: 'mx.example.org', queueTtlMs: 345_600_000 }

test('a report that nobody has tried yet is an envelope without what it has not', () => {
  const [mailbox, original] = ['j@far.test', 'jane@far.test'].map((text) => parseMailbox(text))
  assert.ok(mailbox !== undefined && original !== undefined)
  const lines = smtpctlEnvelope(
    {
      envelope: {
        id: newMessageId(1_700_000_000_000),
        reversePath: null,
        recipients: [{ mailbox, original, notify: ['never'], orcpt: 'utf-8;x' }],
        tags: [],
        origin: { kind: 'local', helo: 'x\u0007\nflags: none' },
        receivedAt: 1_700_000_000_999,
      },
      recipient: 0,
    },
    configuration,
  )
  assert.deepEqual(lines, [
    'version: 3',
    'smtpname: mx.example.org',
    'helo: x\\u{7}\\u{a}flags: none',
    'sender: @',
    'rcpt: jane@far.test',
    'dest: j@far.test',
    'ctime: 1700000000',
    'last-try: 0',
    'last-bounce: 0',
    'ttl: 345600',
    'retry: 0',
    'dsn-notify: 8',
    'dsn-orcpt: utf-8;x',
    'esc-class: 0',
    'esc-code: 0',
  ])
})

test(
  'each copy that waits has its lines, or one that is named; what is gone is said to be',
  { skip: await redisMissing() },
  async (t) => {
    const { ctl, accept } = await openBench(t)
    const id = await accept(['jane@localhost', 'eve@localhost'])
    const both = (await ctl('show', 'envelope', id)).out
    assert.match(both, /^version: 3\n[^]*dest: jane@localhost\n[^]*\n\nversion: 3\n[^]*dest: eve@localhost\n/)
    const one = JSON.parse((await ctl('show', 'envelope', id, '--recipient', 'eve@localhost', '--json')).out) as unknown
    const [{ dest, type, dispatcher } = {}, ...others] = one as Record<string, string>[]
    assert.deepEqual([dest, type, dispatcher, others.length], ['eve@localhost', 'mta', undefined, 0])
    const nobody = await ctl('show', 'envelope', newMessageId(Date.now()))
    assert.deepEqual([nobody.code, /is not in the spool/.test(nobody.errors)], [1, true])
    assert.equal((await ctl('show', 'message', id, '--smtpctl', '--json')).code, 2)
    assert.equal(
      (await ctl('show', 'message', id, '--smtpctl')).out,
      'Received: from mx.example.net by mx.example.org; now\nSubject: hello\nFrom: joe@example.net\n\nHello Jane.\n',
    )
  },
)
