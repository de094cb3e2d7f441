import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'

import { startReceiver } from '../../shared/webhooks/testing.ts'
import type { Request } from '../../shared/webhooks/testing.ts'
import { atEnd } from '../support/at-end.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

interface Told {
  readonly event: string
  readonly id: string
  readonly recipient?: string
}

interface Listed {
  readonly webhooks: readonly {
    readonly sent?: number
    readonly waiting?: number
    readonly failure?: { readonly reason: string }
  }[]
}

const secret = 'aeb3e1c5d0'

test('a webhook is told of mail, signed; one that is dead delays no mail and is told later, the ledger killed in between', async (t) => {
  const sink = await startMailSink({ protocol: 'lmtp' })
  atEnd(t, () => sink.stop())
  let receiver = await startReceiver()
  atEnd(t, () => receiver.stop())
  const { url } = receiver
  const system = await MailSystem.start({
    conf: `listen on 127.0.0.1 port {{smtp}}
action "in" lmtp "127.0.0.1:${sink.port}" rcpt-to
match from any for domain "sluice.test" action "in"
`,
    pipeline: `users from any\nwebhook "${url}" events received delivered secret file "{{folder}}/hook.key"\n`,
    files: { 'hook.key': `${secret}\n` },
    services: 'processes',
    processes: { filter: 0, signer: 0, relay: 0, reports: 0, dashboard: 0 },
  })
  atEnd(t, () => system.stop())

  async function send(to: string): Promise<string> {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const from = 'bob@remote.test'
    const id = idOf(await client.send({ from, to: [to], content: testMessage({ id: to, from, to }) }))
    await client.quit()
    return id
  }

  async function list(): Promise<{ readonly code: number | null; readonly webhook: Listed['webhooks'][0] }> {
    const { code, stdout } = await system.ctl('webhook', 'list', '--json')
    const [webhook] = (JSON.parse(stdout) as Listed).webhooks
    assert.ok(webhook)
    return { code, webhook }
  }

  /** What was told of a message, once both events are there. */
  async function waitFor(id: string): Promise<readonly Told[]> {
    for (let count = 1; ; count++) {
      const told = toldBy(await receiver.waitForRequests(count)).filter((one) => one.id === id)
      if (new Set(told.map(({ event }) => event)).size === 2) return told
    }
  }

  while ((await list()).webhook.sent === undefined);
  const first = await send('jane@sluice.test')
  const told = await waitFor(first)
  assert.deepEqual(new Set(told.map(({ event }) => event)), new Set(['received', 'delivered']))
  assert.equal(told.find(({ event }) => event === 'delivered')?.recipient, 'jane@sluice.test')
  for (const { headers, body } of receiver.requests) {
    const [, seconds = '', mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['sluice-signature'])) ?? []
    assert.equal(mac, createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex'))
    assert.doesNotMatch(body, /Subject|remote content/)
  }

  await receiver.stop()
  const second = await send('joe@sluice.test')
  await system.waitForEvent('delivered', second)
  await system.waitForLog((line) => line.msg === 'the webhook does not take events; tried again')
  for (;;) {
    const { code, webhook } = await list()
    if (webhook.waiting !== 2) continue
    assert.deepEqual([code, webhook.failure?.reason.includes('ECONNREFUSED')], [1, true])
    break
  }
  const refused = await system.ctl('webhook', 'test', url)
  assert.deepEqual([refused.code, refused.stderr.includes('it was not taken')], [1, true])

  await system.kill('ledger')
  receiver = await startReceiver(Number(new URL(url).port))
  await system.restart('ledger')
  assert.equal((await waitFor(second)).length, 2)

  const tested = await system.ctl('webhook', 'test', url)
  assert.equal(tested.code, 0, tested.stderr)
  assert.ok(toldBy(receiver.requests).some(({ event }) => event === 'test'))
})

function toldBy(requests: readonly Request[]): readonly Told[] {
  return requests.flatMap(({ body }) => JSON.parse(body) as readonly Told[])
}
