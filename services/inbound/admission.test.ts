import assert from 'node:assert/strict'
import { test } from 'node:test'

import { SmtpClient } from '../../test/support/smtp-client.ts'
import { admissionOf } from './admission.ts'
import { startInbound, testPipeline } from './testing.ts'

const own = (): readonly string[] => ['127.0.0.1', '10.77.0.5', 'fd00::5']

test('a return port on another network takes that network and this host, nobody else', () => {
  const cases: readonly (readonly [on: string, is: string | undefined, admitted: string, refused: string])[] = [
    ['lo', '10.77.0.0/24', '10.77.0.9 10.77.0.5 127.0.0.1 fd00::5', '10.77.1.9 192.0.2.1 2001:db8::1'],
    ['localhost', 'fd00::/64', 'fd00::9 10.77.0.5', 'fd01::9 10.77.0.9'],
    ['lo', '10.77.0.5', '10.77.0.5 127.0.0.1', '10.77.0.9 192.0.2.1'],
    ['lo0', 'mailnet', '10.77.0.5', '10.77.0.9'],
    ['127.0.0.1', '0.0.0.0', '10.77.0.5', '10.77.0.9 192.0.2.1'],
  ]
  for (const [on, is, admitted, refused] of cases) {
    const admits = admissionOf({ on }, new Map(is === undefined ? [] : [[on, is]]), own)
    for (const address of admitted.split(' ')) assert.equal(admits?.(address), true, `${is} ${address}`)
    for (const address of refused.split(' ')) assert.equal(admits?.(address), false, `${is} ${address}`)
  }
  assert.equal(admissionOf({ on: 'lo' }, new Map([['eth0', '10.77.0.0/24']]), own), undefined)
  assert.equal(admissionOf({ on: 'eth0' }, new Map([['eth0', '10.77.0.0/24']]), own), undefined)
})

const message = { from: 'a@example.net', to: ['jane@example.org'], content: 'Subject: x\r\n\r\nHello\r\n' } as const

test('a session on a listener declared on loopback stands for this host, wherever the listener is', async (t) => {
  for (const [on, thisHost] of [
    ['lo', true],
    ['127.0.0.1', true],
    ['eth7', undefined],
  ] as const) {
    const interfaces = new Map([[on, '127.0.0.0/8']])
    const inbound = await startInbound({
      listener: { on },
      configuration: { pipeline: { ...testPipeline, interfaces } },
    })
    t.after(() => inbound.close())
    const client = await SmtpClient.ready({ port: inbound.port })
    assert.equal((await client.send(message)).code, 250)
    assert.equal(inbound.accepted[0]?.envelope.origin.thisHost, thisHost)
    await client.quit()
  }
})
