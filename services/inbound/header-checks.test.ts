import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { SmtpClient } from '../../test/support/smtp-client.ts'
import type { HeaderRule, Listener } from '../../shared/config/model.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { AcceptedFate } from '../../shared/pipeline/pipeline.ts'
import { headerChecks } from './header-checks.ts'
import { startInbound, testPipeline } from './testing.ts'
import type { TestInbound } from './testing.ts'

const at = { file: 'pipeline.conf', line: 1, column: 1 }

async function start(t: TestContext, rules: readonly Omit<HeaderRule, 'at'>[], tag?: string): Promise<TestInbound> {
  const inbound = await startInbound({
    listener: tag === undefined ? {} : { tag },
    configuration: { pipeline: { ...testPipeline, headerRules: rules.map((rule) => ({ at, ...rule })) } },
    limits: { hops: 3 },
  })
  t.after(() => inbound.close())
  return inbound
}

async function send(t: TestContext, inbound: TestInbound, content: string): Promise<string> {
  const client = await SmtpClient.ready({ port: inbound.port, timeoutMs: 60_000 })
  t.after(() => client.destroy())
  return (await client.send({ from: 'a@example.net', to: ['jane@example.org'], content })).raw
}

const revealing: HeaderRule = {
  at,
  expression: '^(Received|X-Originating-IP|X-Mailer|User-Agent):',
  action: { kind: 'ignore' },
}
const leaking =
  'Received: from [10.1.2.3] by desk\r\n\twith ESMTPSA; x\r\nX-Originating-IP: [10.1.2.3]\r\nSubject: hi\r\nx-mailer: Foo\r\nUser-Agent: Foo\r\n\r\nX-Mailer: body\r\n'

test('what tells where a user writes from is gone, our own Received too, and the content on disk is as it came', async (t) => {
  const inbound = await start(t, [revealing])
  assert.match(await send(t, inbound, leaking), /^250 /)
  const [stored] = inbound.accepted
  assert.equal(stored?.message, 'X-Sluice-Hops: 2\r\nSubject: hi\r\n\r\nX-Mailer: body\r\n')
  assert.equal(stored?.content, leaking)
})

test('a loop ends although its Received fields are removed', async (t) => {
  const inbound = await start(t, [revealing, { expression: '^X-Sluice-Hops:', action: { kind: 'ignore' } }])
  let content = 'Subject: round\r\n\r\nx\r\n'
  for (let round = 1; round <= 4; round += 1) {
    assert.match(await send(t, inbound, content), /^250 /)
    content = inbound.accepted.at(-1)?.message ?? ''
    assert.equal(content, `X-Sluice-Hops: ${round}\r\nSubject: round\r\n\r\nx\r\n`)
  }
  assert.match(await send(t, inbound, content), /^554 5\.4\.6 /)
})

test('the first rule that matches a field counts, over its folding and without regard to case', async (t) => {
  const inbound = await start(t, [
    { expression: '^subject:.*good', action: { kind: 'prepend', field: 'X-Good: yes' } },
    { expression: '^Subject:', action: { kind: 'reject', text: '550 5.7.1 No such subjects' } },
    { expression: '^X-Old:', action: { kind: 'replace', field: 'X-New: 1' } },
    { expression: '^To:', action: { kind: 'warn', text: 'addressed' } },
  ])
  assert.match(await send(t, inbound, 'SUBJECT: very\r\n\tgood\r\nX-Old: 0\r\nTo: jane\r\n\r\nSubject: x\r\n'), /^250 /)
  assert.match(
    inbound.accepted[0]?.message ?? '',
    /^X-New: 1\r\nX-Good: yes\r\nReceived: [^]*\r\nSUBJECT: very\r\n\tgood\r\nTo: jane\r\n\r\nSubject: x\r\n$/,
  )
  assert.deepEqual(
    inbound.filterReports.map(({ filter, text }) => [filter, text]),
    [['header match', 'addressed: To: jane']],
  )
  assert.equal(await send(t, inbound, 'Subject: bad\r\n\r\nx\r\n'), '550 5.7.1 No such subjects')
  assert.equal(inbound.accepted.length, 1)
  assert.equal(inbound.aborted(), 1)
})

test('a rule for a tag or a place is for these listeners only', async (t) => {
  const out = { ...revealing, for: { kind: 'tag', tag: 'Out' } } as const
  const there = { ...revealing, for: { kind: 'listener', on: 'eth0', port: 25 } } as const
  const listener = { on: 'eth0', port: 25 } as unknown as Listener
  assert.equal(headerChecks([out], [], listener), undefined)
  assert.equal(headerChecks([out], [], { ...listener, tag: 'In' }), undefined)
  assert.equal(headerChecks([there], [], { ...listener, port: 587 }), undefined)
  assert.notEqual(headerChecks([there], [], listener), undefined)
  const inbound = await start(t, [out], 'OUT')
  await send(t, inbound, leaking)
  assert.doesNotMatch(inbound.accepted[0]?.message ?? '', /Received|Originating/)
})

test('hold and discard take the message and say what is to become of it, redirect takes it for somebody else', async (t) => {
  const hold = { kind: 'hold', reason: 'header match: look' } as const
  const discard = { kind: 'discard', reason: 'header match' } as const
  const inbound = await start(t, [
    { expression: '^X-Hold:', action: hold },
    { expression: '^X-Discard:', action: discard },
    { expression: '^X-To-List:', action: { kind: 'redirect', mailbox: 'list@example.org' as Mailbox } },
    { expression: '^X-To-Nobody:', action: { kind: 'redirect', mailbox: 'nobody@example.org' as Mailbox } },
    { expression: '^X-Bad:', action: { kind: 'reject', text: '550 5.7.1 no' } },
  ])
  const cases: readonly (readonly [string, RegExp, AcceptedFate | undefined, readonly string[]])[] = [
    ['Subject: x', /^250 /, undefined, ['jane@example.org']],
    ['X-Hold: 1', /^250 /, hold, ['jane@example.org']],
    ['X-Hold: 1\r\nX-Discard: 1\r\nX-Bad: 1', /^250 /, discard, ['jane@example.org']],
    ['X-To-List: 1\r\nX-Hold: 1', /^250 /, hold, ['jane@example.org', 'john@example.org']],
    ['X-Hold: 1\r\nX-Bad: 1', /^550 5\.7\.1 no$/, undefined, []],
    ['X-To-Nobody: 1', /^451 4\.3\.5 /, undefined, []],
  ]
  for (const [fields, reply, fate, recipients] of cases) {
    const before = inbound.accepted.length
    assert.match(await send(t, inbound, `${fields}\r\n\r\nx\r\n`), reply, fields)
    const [stored] = inbound.accepted.slice(before)
    assert.deepEqual(stored?.fate, fate, fields)
    assert.deepEqual(
      (stored?.envelope.recipients ?? []).map((one) => one.mailbox),
      recipients,
      fields,
    )
  }
  assert.equal(inbound.accepted.at(-1)?.envelope.recipients[1]?.original, 'jane@example.org')
})

test('what groups matched stands in fields and texts, and cannot make lines of its own', async (t) => {
  const inbound = await start(t, [
    { expression: '^Subject: \\[(.+)\\] (.*)$', action: { kind: 'replace', field: 'Subject: $2 ($1, $$5)' } },
    { expression: '^X-List: (.*)$', action: { kind: 'prepend', field: 'X-Copy: ${1}' } },
    { expression: '^X-Warn: (.*)$', action: { kind: 'warn', text: 'seen $1' } },
    { expression: '^X-Bad: (.*)$', action: { kind: 'reject', text: '550 5.7.1 Not "$1"' } },
  ])
  const long = 'word '.repeat(500).trim()
  await send(
    t,
    inbound,
    `Subject: [list]\r\n hello\r\nX-List: ${long.replace(/(.{800}) /g, '$1\r\n ')}\r\nX-Warn: é\r\n\r\nx\r\n`,
  )
  const message = inbound.accepted[0]?.message ?? ''
  assert.match(message, /^X-Copy: word/)
  assert.ok(message.split('\r\n').every((line) => line.length < 998))
  assert.doesNotMatch(message, /\[list\]/)
  assert.match(inbound.filterReports[0]?.text ?? '', /^seen \?+: X-Warn/)
  assert.equal(await send(t, inbound, 'X-Bad: caf\xe9 "x"\r\n\r\nx\r\n'), '550 5.7.1 Not "caf? "x""')
})
