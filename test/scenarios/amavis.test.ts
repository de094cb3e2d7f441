import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { type AmavisOptions, startAmavis } from '../support/amavis.ts'
import { atEnd } from '../support/at-end.ts'
import { dkimRecords } from '../support/configurations.ts'
import { verifyDkim } from '../support/dkim-verify.ts'
import { testMessage } from '../support/messages.ts'
import {
  asStranger,
  machineAddress,
  runAsStranger,
  strangerAddress,
  testOnPrivateMachine,
} from '../support/private-machine.ts'
import { startSeed, startSeedWorld, visits } from '../support/seed-world.ts'
import { SmtpClient } from '../support/smtp-client.ts'

interface Place extends Pick<AmavisOptions, 'address' | 'returnTo' | 'prefix'> {
  readonly pipeline: string
}

/** Two lines of pipeline.conf; a third where amavis is on another machine. */
const external = (address: string): string =>
  [10_024, 10_026].map((port) => `external "smtp://localhost:${port}" is "${address}:${port}"\n`).join('')

const here: Place = {
  address: '127.0.0.1',
  returnTo: '127.0.0.1',
  pipeline: `${external('127.0.0.1')}trusted filter 127.0.0.1\n`,
}
const elsewhere: Place = {
  address: strangerAddress,
  returnTo: machineAddress,
  prefix: asStranger(),
  pipeline: `${external(strangerAddress)}interface lo is "192.0.2.0/24"\n`,
}

async function start(t: TestContext, { pipeline, ...options }: Place) {
  const world = await startSeedWorld(t)
  const amavis = await startAmavis({ ...options, domain: 'exem.pl', dkimKey: '/etc/certs/dkim.key' })
  atEnd(t, () => amavis.stop())
  return { ...world, amavis, system: await startSeed(t, pipeline) }
}

testOnPrivateMachine(import.meta.filename, ['dovecot', 'swaks', 'dkimverify', 'amavisd'], () => {
  for (const [where, place] of Object.entries({ 'on this machine': here, 'on another machine': elsewhere })) {
    test(`a real amavisd ${where} filters a stranger's mail once, and hands it back for Dovecot`, async (t) => {
      const { dovecot, system } = await start(t, place)
      const args = ['--server', machineAddress, '--from', 'a@far.example', '--to', 'root@exem.pl', '--tls-optional']
      const sent = await runAsStranger('swaks', args)
      assert.equal(sent.code, 0, sent.stdout)
      const [mail] = await dovecot.maildir('joe').waitForMessages(1)
      assert.match(mail?.header ?? '', /\(amavis, port 10024\)/)
      // Our own queue has not seen it.
      assert.equal(mail?.field('Authentication-Results'), undefined)
      const { id } = await system.waitForEvent('delivered')
      assert.deepEqual(await visits(system, id, 'delivered'), {})
      const received = system.log.filter((line) => line.event === 'received')
      assert.equal(received.length, 2, 'it comes in twice: from the stranger and from amavis')
      // By XFORWARD, where it is trusted: whom amavis had it from.
      assert.equal(received[1]?.['upstream'], place === here ? 'unknown[127.0.0.1]' : undefined)
    })

    test(`a real amavisd ${where} signs mail of our own once, and hands it back to be relayed`, async (t) => {
      const { far } = await start(t, place)
      const client = await SmtpClient.ready({ port: 25, host: machineAddress })
      const content = testMessage({ id: 'out', from: 'joe@exem.pl', to: 'b@far.example' })
      assert.equal((await client.send({ from: 'joe@exem.pl', to: ['b@far.example'], content })).code, 250)
      await client.quit()
      const message = await far.waitForMessage((one) => one.id === 'out')
      const [record = ''] = Object.values(dkimRecords())
      const verdict = await verifyDkim(message.content, { 'test._domainkey.exem.pl': record })
      assert.deepEqual([verdict.detail, verdict.valid], ['signatures: 1', true])
      assert.equal(far.copies.get('out'), 1)
    })
  }
})
