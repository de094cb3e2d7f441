import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { startTestingServer } from '../../shared/table-host/testing-server.ts'
import { openPolicyClient, PolicyError } from './policy-client.ts'

/** Answers by the recipient; `silence` and `hang up` are done. */
async function policyService(t: TestContext, answers: Readonly<Record<string, string>>, timeoutMs = 60_000) {
  const asked: string[] = []
  let begun = ''
  const server = await startTestingServer(t, (socket, said) => {
    const questions = `${begun}${said.toString()}`.split('\n\n')
    begun = questions.pop() ?? ''
    for (const question of questions) {
      asked.push(question)
      const recipient = /^recipient=(.*)$/m.exec(question)?.[1] ?? ''
      const answer = answers[recipient] ?? 'action=DUNNO'
      if (answer === 'hang up') socket.destroy()
      else if (answer !== 'silence') socket.write(`${answer}\n\n`)
    }
  })
  const client = openPolicyClient({ place: server.place, timeoutMs })
  t.after(() => client.close())
  return { client, server, asked }
}

test('each action of a policy service is understood', async (t) => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['action=DUNNO', { kind: 'next' }],
    ['action=dunno', { kind: 'next' }],
    ['action=', { kind: 'next' }],
    ['action=OK', { kind: 'permit' }],
    ['action=552 5.2.2 Mailbox is full', { kind: 'refuse', reply: '552 5.2.2 Mailbox is full' }],
    ['action=452 4.2.2 Mailbox is full', { kind: 'refuse', reply: '452 4.2.2 Mailbox is full' }],
    ['action=REJECT', { kind: 'refuse', reply: '554' }],
    ['action=DEFER_IF_PERMIT Greylisted', { kind: 'refuse', reply: '450 Greylisted' }],
    ['action=WARN look at this', { kind: 'warn', text: 'look at this' }],
    ['action=PREPEND X-Greylist: delayed 300 s', { kind: 'prepend', field: 'X-Greylist: delayed 300 s' }],
    ['other=1\naction=OK\nmore=2', { kind: 'permit' }],
  ]
  const { client } = await policyService(t, Object.fromEntries(cases.map(([said], index) => [`${index}`, said])))
  for (const [index, [said, expected]] of cases.entries())
    assert.deepEqual(await client.ask({ recipient: `${index}` }), expected, said)
})

test('a service is told the attributes, and none of them can end its line', async (t) => {
  const { client, asked, server } = await policyService(t, {})
  await client.ask({ protocol_state: 'RCPT', recipient: 'a@example.org' })
  await client.ask({ sender: 'x\naction=OK\n\n', recipient: '' })
  assert.deepEqual(asked, [
    'request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=a@example.org',
    'request=smtpd_access_policy\nsender=x?action=OK??\nrecipient=',
  ])
  assert.equal(server.count(), 1, 'the connection is kept')
})

test('a service that is away or incomprehensible is never an answer', async (t) => {
  const { client, server } = await policyService(t, {
    nonsense: 'action=FLY me',
    none: 'status=1',
    end: 'hang up',
    field: 'action=PREPEND none',
  })
  await assert.rejects(client.ask({ recipient: 'nonsense' }), /answered FLY me, which is not known/)
  await assert.rejects(client.ask({ recipient: 'field' }), /answered PREPEND none, which is not known/)
  await assert.rejects(client.ask({ recipient: 'none' }), /without an action/)
  await assert.rejects(client.ask({ recipient: 'end' }), PolicyError)
  await server.close()
  await assert.rejects(client.ask({ recipient: 'a' }), PolicyError)
})

test('a service that is silent is not waited for longer than said', async (t) => {
  const { client } = await policyService(t, { silent: 'silence' }, 200)
  await assert.rejects(client.ask({ recipient: 'silent' }), /in time/)
})

test('a service that was restarted is asked again', async (t) => {
  const { client, server } = await policyService(t, {})
  assert.deepEqual(await client.ask({ recipient: 'a' }), { kind: 'next' })
  await server.hangUp()
  assert.deepEqual(await client.ask({ recipient: 'a' }), { kind: 'next' })
})
