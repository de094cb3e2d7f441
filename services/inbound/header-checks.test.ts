import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { SmtpClient } from '../../test/support/smtp-client.ts'
import type { HeaderRule } from '../../shared/config/model.ts'
import { headerChecks } from './header-checks.ts'
import { startInbound, testPipeline } from './testing.ts'
import type { TestInbound } from './testing.ts'

async function start(t: TestContext, headerRules: readonly HeaderRule[], tag?: string): Promise<TestInbound> {
  const inbound = await startInbound({
    listener: tag === undefined ? {} : { tag },
    configuration: { pipeline: { ...testPipeline, headerRules } },
    limits: { hops: 3 },
  })
  t.after(() => inbound.close())
  return inbound
}

async function send(t: TestContext, inbound: TestInbound, content: string): Promise<string> {
  const client = await SmtpClient.ready({ port: inbound.port, timeoutMs: 5_000 })
  t.after(() => client.destroy())
  return (await client.send({ from: 'a@example.net', to: ['jane@example.org'], content })).raw
}

const revealing: HeaderRule = {
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

test('a rule with a tag is for the listeners with this tag only', async (t) => {
  assert.equal(headerChecks([{ ...revealing, tag: 'Out' }], undefined), undefined)
  assert.equal(headerChecks([{ ...revealing, tag: 'Out' }], 'In'), undefined)
  const inbound = await start(t, [{ ...revealing, tag: 'Out' }], 'OUT')
  await send(t, inbound, leaking)
  assert.doesNotMatch(inbound.accepted[0]?.message ?? '', /Received|Originating/)
})
