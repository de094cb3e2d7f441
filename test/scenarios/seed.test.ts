import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dkimRecords, passwords } from '../support/configurations.ts'
import { verifyDkim } from '../support/dkim-verify.ts'
import { root } from '../support/fixtures.ts'
import { testMessage } from '../support/messages.ts'
import { machineAddress, place, runAsStranger, testOnPrivateMachine } from '../support/private-machine.ts'
import { run } from '../support/process.ts'
import { programArguments } from '../support/program.ts'
import { seedConf, startSeed, startSeedWorld, visits } from '../support/seed-world.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { swaks } from '../support/swaks.ts'

const account =
  'login from { "joe" = "$6$sluicetest$E.NOmAGW08yHCFRGemQuvnUtuYnLnnJExoG1USku5XgvKUSzMwLWtj/YEbHvAHcEJRKf3mkIUf.IGV.BHRoDd1" }\n'

testOnPrivateMachine(import.meta.filename, ['dovecot', 'swaks', 'dkimverify'], () => {
  test("as it stands, with an empty pipeline.conf: a stranger's mail is filtered once, follows the alias, is in Dovecot", async (t) => {
    const { dovecot } = await startSeedWorld(t)
    const system = await startSeed(t, '')
    const send = (to: string) =>
      runAsStranger('swaks', ['--server', machineAddress, '--from', 'a@far.example', '--to', to, '--tls-optional'])
    const sent = await send('root@exem.pl')
    assert.equal(sent.code, 0, sent.stdout)
    const [mail] = await dovecot.maildir('joe').waitForMessages(1)
    assert.match(mail?.field('Authentication-Results') ?? '', /^mail\.exem\.pl/)
    const { id } = await system.waitForEvent('delivered')
    assert.deepEqual(await visits(system, id, 'delivered'), { filter: 1 })
    assert.match((await send('b@elsewhere.example')).stdout, /550 5\.7\.1 Relaying denied/)
  })

  test("as it stands, with an empty pipeline.conf: this host's own mail passes the queue sign once and is relayed", async (t) => {
    const { far } = await startSeedWorld(t)
    const system = await startSeed(t, '')
    const client = await SmtpClient.ready({ port: 25, host: machineAddress })
    const content = testMessage({ id: 'out', from: 'joe@exem.pl', to: 'b@far.example' })
    assert.equal((await client.send({ from: 'joe@exem.pl', to: ['b@far.example'], content })).code, 250)
    await client.quit()
    const { id } = await system.waitForEvent('relayed')
    assert.deepEqual(await visits(system, id, 'relayed'), { sign: 1 })
    assert.equal(far.copies.get('out'), 1)
  })

  test('with a login and a key in pipeline.conf: a user on the submission port is signed once, verifiably', async (t) => {
    const { far } = await startSeedWorld(t)
    const system = await startSeed(
      t,
      `${account}dkim domain "exem.pl" selector "test" key "/etc/certs/dkim.key"\nusers from any\n`,
    )
    const client = await SmtpClient.ready({
      port: 587,
      host: machineAddress,
      starttls: true,
      user: 'joe',
      password: passwords.joe,
    })
    const content = testMessage({ id: 'user', from: 'joe@exem.pl', to: 'b@far.example' })
    assert.equal((await client.send({ from: 'joe@exem.pl', to: ['b@far.example'], content })).code, 250)
    await client.quit()
    const message = await far.waitForMessage((one) => one.id === 'user')
    const { id } = await system.waitForEvent('relayed')
    assert.deepEqual(await visits(system, id, 'relayed'), { sign: 1 })
    const [record = ''] = Object.values(dkimRecords())
    const verdict = await verifyDkim(message.content, { 'test._domainkey.exem.pl': record })
    assert.equal(verdict.detail, 'signatures: 1')
    assert.equal(verdict.valid, true)
    // mask-source: who sent it from where is not told.
    assert.doesNotMatch(message.header, /Received: from /)
  })

  test("the seed's port 465 serves clients that expect TLS from the start, and those that send STARTTLS there", async (t) => {
    await startSeedWorld(t)
    await startSeed(t, `${account}users from any\n`)
    const login = ['--auth', 'PLAIN', '--auth-user', 'joe', '--auth-password', passwords.joe]
    for (const how of ['--tls-on-connect', '--tls']) {
      const args = ['--server', `${machineAddress}:465`, '--from', 'joe@exem.pl', '--to', 'b@far.example', how]
      const sent = await swaks([...args, ...login])
      assert.equal(sent.code, 0, sent.stdout)
    }
    const plain = await SmtpClient.ready({ port: 465, host: machineAddress })
    assert.equal((await plain.command('MAIL FROM:<joe@exem.pl>')).code, 530)
    plain.destroy()
  })

  test('in the wrong order the rules go round, and check says which', async (t) => {
    await startSeedWorld(t)
    const lines = seedConf.split('\n')
    const [first, second] = ['accept tagged Filtered', 'accept from any for domain'].map((words) =>
      lines.findIndex((line) => line.startsWith(words)),
    )
    const swapped = lines.with(first ?? 0, lines[second ?? 0] ?? '').with(second ?? 0, lines[first ?? 0] ?? '')
    const path = '/etc/smtpd.conf'
    await place(path, { text: swapped.join('\n') })
    const checked = await sluicectl('check', path)
    const loops = checked.split('\n').filter((line) => line.includes('[loop]'))
    assert.equal(loops.length, 1, checked)
    assert.match(loops[0] ?? '', new RegExp(`smtpd\\.conf:${(first ?? 0) + 1}:.* queue "filter" `))
  })
})

async function sluicectl(...args: readonly string[]): Promise<string> {
  const finished = await run(process.execPath, [...programArguments('services/control/main'), ...args], { cwd: root })
  return `${finished.stdout}${finished.stderr}`
}
