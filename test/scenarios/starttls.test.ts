import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'

import { type DnsServer, startDns } from '../support/dns.ts'
import { fixture } from '../support/fixtures.ts'
import { freePort } from '../support/free-port.ts'
import { type MailSink, type MailSinkOptions, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const conf = `ca "known" cert "{{folder}}/known.pem"
listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "opportunistic" relay
action "verified" relay tls ca "known"
match from local mail-from "strict@sluice.test" for any action "verified"
match from local for any action "opportunistic"
`

const read = (name: string): string => readFileSync(fixture(`tls/${name}`), 'utf8')
const pair = (name: string) => ({ cert: read(`${name}.pem`), key: read(`${name}.key`) })

interface Case {
  readonly domain: string
  readonly host: MailSinkOptions
  /** What an opportunistic sender ends up with. */
  readonly secure: boolean
  /** Why a strict one keeps the mail; absent: it does not. */
  readonly kept?: RegExp
}

const cases: readonly Case[] = [
  { domain: 'trial.test', host: { tls: pair('world') }, secure: true },
  { domain: 'never.test', host: {}, secure: false, kept: /^451 4\.7\.4 \S+ does not offer STARTTLS/ },
  {
    domain: 'refusing.test',
    host: {
      tls: pair('world'),
      respond: ({ stage }) =>
        stage === 'starttls' ? '454 4.7.0 TLS not available due to temporary reason' : undefined,
    },
    secure: false,
    kept: /^451 4\.7\.4 \S+ refused STARTTLS: 454 4\.7\.0 TLS not available/,
  },
  { domain: 'leaving.test', host: { brokenTls: 'hangup' }, secure: false, kept: /^451 4\.7\.5 TLS with \S+ failed: / },
  {
    domain: 'babbling.test',
    host: { brokenTls: 'garbage' },
    secure: false,
    kept: /^451 4\.7\.5 TLS with \S+ failed: /,
  },
  { domain: 'misnamed.test', host: { tls: pair('world') }, secure: true, kept: /^451 4\.7\.5 .*mx\.misnamed\.test/ },
  { domain: 'unknown.test', host: { tls: pair('server') }, secure: true, kept: /^451 4\.7\.5 TLS with \S+ failed: / },
  { domain: 'expired.test', host: { tls: pair('expired') }, secure: true, kept: /^451 4\.7\.5 .*expired/ },
]

describe('STARTTLS on the way out', () => {
  const sinks: MailSink[] = []
  let dns: DnsServer
  let system: MailSystem

  before(async () => {
    const port = await freePort()
    const address = (nth: number): string => `127.0.2.${nth + 1}`
    for (const [nth, { host }] of cases.entries())
      sinks.push(await startMailSink({ ...host, host: address(nth), port }))
    dns = await startDns(
      Object.fromEntries(
        cases.flatMap(({ domain }, nth) => [
          [domain, { MX: [[10, `mx.${domain}`]] }],
          [`mx.${domain}`, { A: [address(nth)] }],
        ]),
      ),
    )
    system = await MailSystem.start({
      conf,
      files: { 'known.pem': read('world-ca.pem') + read('expired.pem') },
      pipeline: `resolver "${dns.address}"\nrelay port ${port}\nlane default back-off off\n`,
    })
  })

  after(async () => {
    await system.stop()
    for (const sink of sinks) await sink.stop()
    await dns.stop()
  })

  async function send(id: string, from: string, domain: string): Promise<string> {
    const to = `ann@${domain}`
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to: [to], content: testMessage({ id, from, to }) })
    await client.quit()
    return idOf(reply)
  }

  for (const [nth, { domain, secure, kept }] of cases.entries()) {
    test(`${domain}: where TLS is not demanded the mail goes, ${secure ? 'encrypted' : 'in clear'}`, async () => {
      await system.waitForEvent('relayed', await send('free', 'free@sluice.test', domain))
      assert.deepEqual(
        sinks[nth]?.messages.map((message) => [message.id, message.secure]),
        [['free', secure]],
      )
    })

    test(`${domain}: where it is, the mail ${kept === undefined ? 'goes' : 'waits, with the reason'}`, async () => {
      const id = await send('strict', 'strict@sluice.test', domain)
      if (kept === undefined) {
        assert.equal((await system.waitForEvent('relayed', id))['tlsTrust'], 'verified')
        return
      }
      assert.match(String((await system.waitForEvent('delayed', id))['reply']), kept)
      assert.equal(sinks[nth]?.copies.get('strict'), undefined)
    })
  }
})
