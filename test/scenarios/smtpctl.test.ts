import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { passwords, standardConf, standardPipeline } from '../support/configurations.ts'
import { fixture } from '../support/fixtures.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingOpenSmtpd, startOpenSmtpd } from '../support/opensmtpd.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'

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

test(
  'a script that reads `smtpctl show queue` reads the same of us, field by field',
  { skip: missingOpenSmtpd() || missingPeers('unshare') },
  async (t) => {
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
    const ours = await SmtpClient.ready(submission)
    const id = idOf(await ours.send({ from, to: [to], content: testMessage({ id: 'queued', from, to }) }))
    await ours.quit()
    await system.waitForEvent('delayed', id)
    const theirs = await SmtpClient.ready({ port: opensmtpd.port })
    await theirs.send({ from, to: [to], content: testMessage({ id: 'queued', from, to }) })
    await theirs.quit()
    let printed = ''
    while (!printed.includes('4.2.1 Later')) printed = await opensmtpd.smtpctl('show', 'queue')

    const { stdout } = await system.ctl('show', 'queue', '--smtpctl')
    const [own, ...others] = stdout.trimEnd().split('\n').map(fieldsOf)
    assert.equal(others.length, 0)
    const [real] = printed.trimEnd().split('\n').map(fieldsOf)
    assert.ok(own !== undefined && real !== undefined)
    assert.equal(own.id, id)
    assert.deepEqual(comparable(own), comparable(real))
    assert.deepEqual(
      { agent: own.agent, state: own.state, attempts: own.attempts, sender: own.sender },
      { agent: 'mta', state: 'pending', attempts: '1', sender: from },
    )
  },
)
