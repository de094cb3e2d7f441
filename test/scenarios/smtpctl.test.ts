import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { passwords, standardConf, standardPipeline } from '../support/configurations.ts'
import { fixture } from '../support/fixtures.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingOpenSmtpd, startOpenSmtpd } from '../support/opensmtpd.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import type { ClientReply } from '../support/smtp-client.ts'

const columns = [
  'id',
  'family',
  'agent',
  'flags',
  'sender',
  'recipient',
  'destination',
  'creation',
  'expiry',
  'lastTry',
  'attempts',
  'state',
  'delay',
  'error',
] as const
type Line = Readonly<Record<(typeof columns)[number], string>>

const from = 'jane@sluice.test'
const to = 'later@elsewhere.test'

function fieldsOf(line: string): Line {
  const fields = line.split('|')
  assert.equal(fields.length, columns.length, line)
  return Object.fromEntries(columns.map((name, index) => [name, fields[index] ?? ''])) as Line
}

/** What both have to say of the same mail. OpenSMTPD tells neither the expiry nor the time of the last attempt of mail that waits. */
function comparable(line: Line) {
  const { id: _, family: __, creation, expiry, lastTry, delay, error, ...same } = line
  const ageS = Math.abs(Date.now() / 1_000 - Number(creation))
  return {
    ...same,
    isSeconds: ageS < 3_600 && /^\d+$/.test(expiry) && /^\d+$/.test(lastTry),
    waits: Number(delay) > 60,
    error: /450 4\.2\.1 Later/.exec(error)?.[0],
  }
}

/** The lines of one envelope, by their names, in their order. */
function envelopeOf(printed: string): ReadonlyMap<string, string> {
  return new Map(
    printed
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [, name = '', value = ''] = /^([a-z-]+): (.*)$/.exec(line) ?? assert.fail(line)
        return [name, value]
      }),
  )
}

/** Without the field that tells of the hop, which is each server's own. */
function withoutReceived(message: string): string {
  return message.replace(/^Received: .*\n(?:[ \t].*\n)*/, '')
}

const options = { skip: missingOpenSmtpd() || missingPeers('unshare') }

/** The same mail waits in a real OpenSMTPD and in ours: the same next hop says "later" to both. */
async function startBoth(t: TestContext) {
  const sink = await startMailSink({
    tls: {
      key: await readFile(fixture('tls/server.key'), 'utf8'),
      cert: await readFile(fixture('tls/server.pem'), 'utf8'),
    },
    respond: ({ stage }) => (stage === 'rcpt' ? '450 4.2.1 Later' : undefined),
  })
  atEnd(t, () => sink.stop())
  const relay = `smtp://127.0.0.1:${sink.port}`
  const system = await MailSystem.start({
    conf: standardConf({ remote: `relay host "${relay}"` }),
    pipeline: standardPipeline(),
  })
  atEnd(t, () => system.stop())
  const opensmtpd = await startOpenSmtpd({ relay })
  atEnd(t, () => opensmtpd.stop())
  const submission = { port: system.port('submission'), starttls: true, user: 'jane', password: passwords.jane }
  const clients = [await SmtpClient.ready(submission), await SmtpClient.ready({ port: opensmtpd.port })] as const
  const taken: ClientReply[] = []
  for (const client of clients) {
    assert.equal((await client.command(`MAIL FROM:<${from}> RET=HDRS ENVID=QQ+2B1`)).code, 250)
    const notify = `NOTIFY=FAILURE,DELAY ORCPT=rfc822;${to}`
    assert.equal((await client.command(`RCPT TO:<${to}> ${notify}`)).code, 250)
    assert.equal((await client.command('DATA')).code, 354)
    const content = testMessage({ id: 'queued', from, to, body: '.one\n\n..two' })
    taken.push(await client.command(`${content.replaceAll(/^\./gm, '..')}.`))
    await client.quit()
  }
  const [ownReply = assert.fail('nothing was taken')] = taken
  const id = idOf(ownReply)
  await system.waitForEvent('delayed', id)
  let printed = ''
  while (!printed.includes('4.2.1 Later')) printed = await opensmtpd.smtpctl('show', 'queue')
  return { system, opensmtpd, id, printed }
}

test('scripts that read what smtpctl prints read the same of us', options, async (t) => {
  const { system, opensmtpd, id, printed } = await startBoth(t)
  const evpid = printed.split('|')[0] ?? ''
  const ours = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await system.ctl(...args)
    assert.deepEqual([code, stderr], [0, ''])
    return stdout
  }

  await t.test('`show queue`, field by field', async () => {
    const [own, ...others] = (await ours('show', 'queue', '--smtpctl')).trimEnd().split('\n').map(fieldsOf)
    assert.equal(others.length, 0)
    const [real] = printed.trimEnd().split('\n').map(fieldsOf)
    assert.ok(own !== undefined && real !== undefined)
    assert.equal(own.id, id)
    assert.deepEqual(comparable(own), comparable(real))
    assert.deepEqual(
      { agent: own.agent, state: own.state, attempts: own.attempts, sender: own.sender },
      { agent: 'mta', state: 'pending', attempts: '1', sender: from },
    )
  })

  await t.test('`show envelope`, line by line', async () => {
    const own = new Map(envelopeOf(await ours('show', 'envelope', id)))
    const real = envelopeOf(await opensmtpd.smtpctl('show', 'envelope', evpid))
    // Of ours a user signed in, and it passed the signer.
    for (const [name, value] of [
      ['tag', 'Signed'],
      ['username', 'jane'],
      ['flags', 'authenticated'],
      ['esc-code', '21'],
    ] as const) {
      assert.equal(own.get(name), value)
      if (!real.has(name)) own.delete(name)
    }
    const names = [...real.keys()].filter((name) => own.has(name) || name !== 'hostname')
    assert.deepEqual([...own.keys()], names)
    const same = ['version', 'type', 'errorline', 'sockaddr', 'sender', 'rcpt', 'dest', 'last-bounce', 'retry']
    for (const name of [...same, 'dsn-notify', 'dsn-ret', 'dsn-envid', 'dsn-orcpt', 'esc-class'])
      assert.equal(own.get(name), real.get(name), name)
    assert.deepEqual([real.get('dsn-notify'), real.get('dsn-envid')], ['6', 'QQ+2B1'])
    for (const name of ['ctime', 'last-try', 'ttl']) assert.match(own.get(name) ?? '', /^\d+$/, name)
    assert.equal(own.get('dispatcher'), 'remote')
    const one = await ours('show', 'envelope', id, '--recipient', to)
    assert.equal(envelopeOf(one).get('rcpt'), to)
    const other = await system.ctl('show', 'envelope', id, '--recipient', 'x@elsewhere.test')
    assert.deepEqual([other.code, /is not for x@elsewhere\.test/.test(other.stderr)], [1, true])
  })

  await t.test('`show message`, octet by octet behind the Received field', async () => {
    const own = await ours('show', 'message', id, '--smtpctl')
    const real = await opensmtpd.smtpctl('show', 'message', evpid)
    assert.match(own, /^Received: from /)
    assert.match(own, /\n\.one\n\n\.\.two\n$/)
    assert.equal(withoutReceived(own), withoutReceived(real))
  })
})
