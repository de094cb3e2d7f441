import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { type DnsServer, startDns } from '../support/dns.ts'
import { type Dovecot, startDovecot } from '../support/dovecot.ts'
import { fixture } from '../support/fixtures.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { bodyOf, bodySha256, idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { type Postfix, startPostfix } from '../support/postfix.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const port = (postfix: Postfix, door: number): number => postfix.doorPorts[door] ?? 0

/** By MX for what the DNS knows; a smarthost for each door of the same Postfix. */
const conf = (postfix: Postfix): string => `ca "world" cert "{{fixtures}}/tls/world-ca.pem"
table right { "jane" = "jane:secret" }
table sources { 127.0.0.5, 127.0.0.6 }
table names { 127.0.0.5 = "five.sluice.test", 127.0.0.6 = "six.sluice.test" }
table wrong { "jane" = "jane:mistake" }
listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "mx" relay
action "checked" relay tls ca "world"
action "unencrypted" relay host "smtp+notls://127.0.0.1:${port(postfix, 0)}"
action "login" relay host "smtp+tls://jane@127.0.0.1:${port(postfix, 0)}" auth <right> tls no-verify
action "mistaken" relay host "smtp+tls://jane@127.0.0.1:${port(postfix, 0)}" auth <wrong> tls no-verify
action "few" relay host "smtp://127.0.0.1:${port(postfix, 1)}"
action "small" relay host "smtp://127.0.0.1:${port(postfix, 2)}"
action "moody" relay host "smtp://127.0.0.1:${port(postfix, 3)}"
action "bare" relay host "smtp://127.0.0.1:${port(postfix, 4)}"
action "sources" relay host "smtp://127.0.0.1:${postfix.port}" src <sources> helo-src <names>
action "named" relay host "smtp://127.0.0.1:${postfix.port}" helo "other.sluice.test"
match from local for domain { sources.test } action "sources"
match from local for domain { named.test } action "named"
match from local for domain { trial.test, other.test } action "checked"
match from local for domain { unencrypted.test } action "unencrypted"
match from local for domain { login.test } action "login"
match from local for domain { mistaken.test } action "mistaken"
match from local for domain { few.test } action "few"
match from local for domain { small.test } action "small"
match from local for domain { moody.test } action "moody"
match from local for domain { bare.test } action "bare"
match from local for any action "mx"
`

describe('Postfix as the next host', { skip: missingPeers('postfix', 'dovecot') }, () => {
  const closing: { stop(): Promise<void> }[] = []
  let sink: MailSink
  let postfix: Postfix
  let system: MailSystem

  before(async () => {
    sink = keep(await startMailSink())
    const dovecot: Dovecot = keep(await startDovecot({ users: { jane: 'secret' } }))
    postfix = keep(
      await startPostfix({
        transport: `smtp:[127.0.0.1]:${sink.port}`,
        parameters: {
          smtpd_tls_security_level: 'may',
          smtpd_tls_cert_file: fixture('tls/world.pem'),
          smtpd_tls_key_file: fixture('tls/world.key'),
          smtpd_tls_received_header: 'yes',
          smtpd_sasl_type: 'dovecot',
          smtpd_sasl_path: `inet:127.0.0.1:${dovecot.authPort}`,
          smtpd_tls_auth_only: 'yes',
          moody:
            'check_recipient_access inline:{ {later@moody.test = 450 4.2.0 Come back}, {never@moody.test = 550 5.1.1 No} }',
        },
        doors: [
          {
            smtpd_tls_security_level: 'encrypt',
            smtpd_sasl_auth_enable: 'yes',
            mynetworks: '192.0.2.0/24',
            smtpd_relay_restrictions: 'permit_sasl_authenticated,reject',
          },
          { smtpd_recipient_limit: '5', smtpd_recipient_overshoot_limit: '1000', smtpd_hard_error_limit: '1000' },
          { message_size_limit: '20000' },
          { smtpd_recipient_restrictions: '$moody' },
          { smtpd_discard_ehlo_keywords: 'pipelining,size,8bitmime,dsn,smtputf8,starttls,enhancedstatuscodes' },
        ],
      }),
    )
    const dns: DnsServer = keep(
      await startDns({
        'elsewhere.test': { MX: [[10, 'mx.elsewhere.test']] },
        'mx.elsewhere.test': { A: ['127.0.0.1'] },
        'trial.test': { MX: [[10, 'mx.trial.test']] },
        'mx.trial.test': { A: ['127.0.0.1'] },
        'other.test': { MX: [[10, 'mx.other.test']] },
        'mx.other.test': { A: ['127.0.0.1'] },
      }),
    )
    system = keep(
      await MailSystem.start({
        conf: conf(postfix),
        pipeline: `resolver "${dns.address}"\nrelay port ${postfix.port}\nlane default back-off off\n`,
      }),
    )
  })

  after(async () => {
    for (const one of closing.toReversed()) await one.stop()
  })

  function keep<Stopped extends { stop(): Promise<void> }>(one: Stopped): Stopped {
    closing.push(one)
    return one
  }

  async function send(id: string, to: readonly string[], body = 'hello'): Promise<string> {
    const from = 'jane@sluice.test'
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to, content: testMessage({ id, from, to: to[0] ?? '', body }) })
    await client.quit()
    return idOf(reply)
  }

  const arrived = (id: string) => sink.waitForMessage((one) => one.id === id)

  test('as an MX with STARTTLS it gets the mail encrypted, whatever its certificate', async () => {
    const id = await send('mx', ['ann@elsewhere.test'])
    assert.equal((await system.waitForEvent('relayed', id))['tlsTrust'], 'unverified')
    assert.match((await arrived('mx')).header, /from mx\.sluice\.test[^]*?\(using TLSv1\.3 with cipher /)
  })

  test('as an MX that must be verified it gets the mail with the right certificate only', async () => {
    const id = await send('checked', ['ann@trial.test'])
    assert.equal((await system.waitForEvent('relayed', id))['tlsTrust'], 'verified')
    await arrived('checked')
    const delayed = await system.waitForEvent('delayed', await send('misnamed', ['ann@other.test']))
    assert.match(String(delayed['reply']), /^451 4\.7\.5 TLS with mx\.other\.test\S* failed: .*mx\.other\.test/)
    assert.equal(sink.copies.get('misnamed'), undefined)
  })

  test('where it demands TLS and we may not use it, its words come back', async () => {
    const failed = await system.waitForEvent('failed', await send('unencrypted', ['ann@unencrypted.test']))
    assert.match(String(failed['reply']), /^530 5\.7\.0 Must issue a STARTTLS command first/)
  })

  test('as a smarthost it takes the mail with our password; a wrong one keeps it here, and is told', async () => {
    await system.waitForEvent('relayed', await send('login', ['ann@login.test']))
    await arrived('login')
    const delayed = await system.waitForEvent('delayed', await send('mistaken', ['ann@mistaken.test']))
    assert.match(String(delayed['reply']), /^454 4\.7\.0 \S+ refused our password: 535 5\.7\.8 /)
    assert.doesNotMatch(system.logTail(1_000), /mistake\b|bWlzdGFrZ/)
  })

  test('it is spoken to from the addresses and with the names that the action has, in turn', async () => {
    for (const id of ['first', 'second']) {
      await send(id, ['ann@sources.test'])
      await arrived(id)
    }
    await send('named', ['ann@named.test'])
    const from = await Promise.all(
      ['first', 'second', 'named'].map(async (id) =>
        /^Received: from (\S+) \(\S+ (\S+)\)/m.exec((await arrived(id)).header),
      ),
    )
    assert.deepEqual(
      from.map((match) => match?.slice(1, 3)),
      [
        ['five.sluice.test', '[127.0.0.5]'],
        ['six.sluice.test', '[127.0.0.6]'],
        ['other.sluice.test', '[127.0.0.1]'],
      ],
    )
  })

  test('when it takes few recipients at a time all get the mail, each once', async () => {
    const to = Array.from({ length: 23 }, (_, nth) => `user${nth}@few.test`)
    const id = await send('few', to)
    for (const recipient of to)
      await system.waitForLog((line) => line.event === 'relayed' && line.id === id && line['recipient'] === recipient)
    const copies = (): string[] =>
      sink.messages.filter((one) => one.id === 'few').flatMap(({ recipients }) => recipients)
    await sink.waitForMessage(() => copies().length >= to.length)
    assert.deepEqual(copies().toSorted(), to.toSorted())
  })

  test('what is larger than it takes comes back without being sent', async () => {
    const failed = await system.waitForEvent('failed', await send('large', ['ann@small.test'], bodyOf('large', 30_000)))
    assert.match(String(failed['reply']), /^552 5\.3\.4 The next server takes at most 20000 octets/)
    await system.waitForEvent('relayed', await send('fits', ['ann@small.test']))
  })

  test('each recipient has the outcome that it says', async () => {
    const id = await send('moody', ['now@moody.test', 'later@moody.test', 'never@moody.test'])
    const events = await Promise.all(['relayed', 'delayed', 'failed'].map((event) => system.waitForEvent(event, id)))
    assert.deepEqual(
      events.map((event) => [event['recipient'], String(event['reply']).slice(0, 9)]),
      [
        ['now@moody.test', '250 2.0.0'],
        ['later@moody.test', '450 4.2.0'],
        ['never@moody.test', '550 5.1.1'],
      ],
    )
    assert.deepEqual((await arrived('moody')).recipients, ['now@moody.test'])
  })

  test('without any extension it gets the same octets', async () => {
    const body = bodyOf('bare', 400_000)
    await system.waitForEvent('relayed', await send('bare', ['ann@bare.test'], body))
    assert.equal((await arrived('bare')).bodySha256, bodySha256(body))
  })
})
