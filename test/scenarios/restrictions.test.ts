import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { checkOffer, outside } from '../dialogs/rows/row.ts'
import { seedDialogues, seedZone } from '../dialogs/rows/seeds.ts'
import type { SeedDialogue } from '../dialogs/rows/seeds.ts'
import {
  connectFrom,
  fixtureConfiguration,
  fixturePath,
  startRestricted,
} from '../../services/inbound/restrictions/testing.ts'
import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { startDns } from '../support/dns.ts'
import type { DnsZone } from '../support/dns.ts'
import { startDovecot } from '../support/dovecot.ts'
import { MailSystem } from '../support/mail-system.ts'
import { type Postfix, startPostfix } from '../support/postfix.ts'
import { testOnPrivateMachine } from '../support/private-machine.ts'
import type { ClientReply } from '../support/smtp-client.ts'

const permits = 'permit_mynetworks, permit_inet_interfaces, permit_sasl_authenticated'
const access =
  'inline:{ { rejet@ailleurs.example = 554 Pas de publicite } { refus@ailleurs.example = REJECT } { bloque.example = REJECT } }'

/** main.cf of the seeds, as far as the session goes. */
const parameters = {
  s0: {
    mydestination: 'mondomaine.example',
    mynetworks: '192.168.1.0/24, 192.168.160.0/24, 127.0.0.0/8',
    alias_maps: 'inline:{ { capitaine = tintin } }',
    local_recipient_maps: 'inline:{ { tintin = x } { milou = x } }, $alias_maps',
    virtual_alias_domains: 'toto.example',
    virtual_alias_maps: 'inline:{ { contact@toto.example = tintin@mondomaine.example } }',
    message_size_limit: '31457280',
    disable_vrfy_command: 'yes',
    smtpd_helo_required: 'yes',
    smtpd_tls_auth_only: 'yes',
    smtpd_client_restrictions: `${permits}, reject_rbl_client zen.spamhaus.org`,
    smtpd_helo_restrictions:
      'permit_mynetworks, permit_sasl_authenticated, reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname',
    smtpd_sender_restrictions: `check_sender_access ${access}, reject_non_fqdn_sender, reject_unknown_sender_domain`,
    smtpd_recipient_restrictions:
      'permit_mynetworks, permit_sasl_authenticated, reject_non_fqdn_recipient, reject_unauth_destination, reject_unknown_recipient_domain',
    smtpd_data_restrictions: 'reject_unauth_pipelining, permit',
  },
  s1: {
    mydestination: 'example.com, tintin.example.com',
    mynetworks: '127.0.0.0/8',
    local_recipient_maps: 'inline:{ { tintin = x } }',
    smtpd_client_restrictions: 'permit_mynetworks, permit_sasl_authenticated, sleep 1, reject_unauth_pipelining',
    smtpd_helo_restrictions: 'reject_invalid_helo_hostname',
    smtpd_sender_restrictions:
      'reject_unlisted_sender, reject_unknown_sender_domain, permit_mynetworks, permit_sasl_authenticated, reject_non_fqdn_sender',
    smtpd_recipient_restrictions:
      'reject_unlisted_recipient, reject_unknown_recipient_domain, permit_mynetworks, permit_sasl_authenticated, reject_non_fqdn_recipient, reject_unauth_destination',
  },
  s2: {
    mydomain: 'ploplo.example',
    myorigin: 'ploplo.example',
    mydestination: 'ploplo.example, bd.ploplo.example',
    mynetworks: '127.0.0.0/8',
    local_recipient_maps: 'inline:{ { jules = x } { root = x } { julien = ok } { davy = ok } { roderick = ok } }',
    relocated_maps: 'inline:{ { maurice@ploplo.example = maurice@orange.example } }',
    recipient_canonical_maps: 'inline:{ { reporter@ploplo.example = jules@ploplo.example } }',
    masquerade_domains: '!info.ploplo.example, ploplo.example',
    smtpd_recipient_restrictions: 'permit_mynetworks, reject_unauth_destination',
  },
} as const

/** Ports 587 and 465 of the first seed's master.cf. */
const submission = { smtpd_client_restrictions: 'permit_sasl_authenticated,reject' }
const doors = [
  { ...submission, smtpd_tls_security_level: 'encrypt' },
  { ...submission, smtpd_tls_wrappermode: 'yes' },
]

testOnPrivateMachine(import.meta.filename, ['postfix', 'dovecot', 'redis-server'], () => {
  for (const seed of ['s0', 's1', 's2'] as const)
    test(`${seed}: a Postfix with the seed's restrictions and ours say the same, code for code`, async (t) => {
      const dns = await startDns(zoneOf(seedZone), 53)
      atEnd(t, () => dns.stop())
      const dovecot = await startDovecot({ users: { tintin: 'secret' } })
      atEnd(t, () => dovecot.stop())
      const postfix = await postfixOf(t, { ...parameters[seed], ...loginsOf(dovecot.authPort) })
      const ours = await startRestricted(await fixtureConfiguration(seed), seedZone)
      atEnd(t, () => ours.close())
      const theirDoors = { 25: postfix.port, 587: postfix.doorPorts[0], 465: postfix.doorPorts[1] }
      const [port25, port587, port465] = ours.addresses.map(({ port }) => port)
      const same = Object.entries<SeedDialogue>(seedDialogues[seed]).filter(([, { differs }]) => differs === undefined)
      // Some of them sleep: not one after the other, nor all at once on a slow machine.
      for (let first = 0; first < same.length; first += 6)
        await Promise.all(
          same.slice(first, first + 6).map(async ([what, dialogue]) => {
            const said = [theirDoors, { 25: port25, 587: port587, 465: port465 }].map((ports) =>
              codesOf(dialogue, ports),
            )
            const [theirs, own] = await Promise.all(said)
            assert.deepEqual(own, theirs, what)
          }),
        )
    })

  test('a running system asks its resolver, lets in who comes back, and names the line in its log', async (t) => {
    const dns = await startDns({ '9.113.0.203.list.example': { A: ['127.0.0.2'], TXT: ['a reason'] } })
    atEnd(t, () => dns.stop())
    const system = await MailSystem.start({
      conf: standardConf({ more: 'listen on 127.0.0.1 port {{proxied}} proxy-v2 tag Strangers' }),
      pipeline: standardPipeline(
        `resolver "${dns.address}"
trusted proxy 127.0.0.1
restrict rcpt tag Strangers reject dnsbl "list.example"
restrict rcpt tag Strangers defer greylist delay 1s`,
      ),
    })
    atEnd(t, () => system.stop())
    const begin = async (address: string) => {
      const client = await connectFrom(address, { port: system.port('proxied'), timeoutMs: 60_000 })
      atEnd(t, () => client.destroy())
      await client.reply()
      for (const line of ['EHLO mail.far.example', 'MAIL FROM:<a@far.example>'])
        assert.equal((await client.command(line)).code, 250)
      return () => client.command('RCPT TO:<jane@sluice.test>')
    }
    assert.match((await (await begin('203.0.113.9'))()).raw, /^554 5\.7\.1 .*list\.example; a reason$/)
    const { restriction } = await system.waitForEvent('rejected')
    assert.match(String(restriction), /pipeline\.conf:\d+$/)
    const [network, again] = await stranger(begin)
    while ((await again()).code !== 250) await pause(200)
    const neighbour = await begin(`203.0.${network}.8`)
    assert.equal((await neighbour()).code, 250)
  })
})

type Attempt = () => Promise<ClientReply>

/** A client that is told to come back: where Redis does not answer in time, one is let in. */
async function stranger(begin: (address: string) => Promise<Attempt>): Promise<readonly [number, Attempt]> {
  for (let network = 114; network < 130; network += 1) {
    const attempt = await begin(`203.0.${network}.7`)
    const { raw } = await attempt()
    if (raw.startsWith('450 4.7.1 ')) return [network, attempt]
    assert.match(raw, /^250 /)
  }
  throw new Error('nobody is greylisted')
}

/** The seeds ask Dovecot about passwords. */
function loginsOf(port: number): Readonly<Record<string, string>> {
  return {
    smtpd_sasl_auth_enable: 'yes',
    smtpd_sasl_type: 'dovecot',
    smtpd_sasl_path: `inet:127.0.0.1:${port}`,
    smtpd_sasl_security_options: 'noanonymous',
    smtpd_tls_security_level: 'may',
    smtpd_tls_cert_file: fixturePath('../tls/server.pem'),
    smtpd_tls_key_file: fixturePath('../tls/server.key'),
  }
}

function postfixOf(t: TestContext, more: Readonly<Record<string, string>>): Promise<Postfix> {
  const started = startPostfix({
    transport: 'discard:',
    doors,
    parameters: {
      disable_dns_lookups: 'no',
      smtpd_upstream_proxy_protocol: 'haproxy',
      recipient_delimiter: '+',
      smtpd_relay_restrictions: '',
      smtpd_client_connection_count_limit: '0',
      ...more,
    },
  })
  atEnd(t, async () => (await started).stop())
  return started
}

type Ports = Readonly<Record<number, number | undefined>>

/** Line, code and enhanced code of each reply. @throws AssertionError when EHLO offers something else */
async function codesOf(dialogue: SeedDialogue, ports: Ports): Promise<readonly string[]> {
  const { client: address = outside, port = 25, tls, ehlo, says } = dialogue
  const target = { port: ports[port] ?? 0, implicitTls: tls === 'implicit', timeoutMs: 120_000 }
  const client = await connectFrom(address, target)
  const codes: string[] = []
  try {
    await client.reply()
    if (tls === 'starttls') {
      await client.command('EHLO mail.ailleurs.example')
      await client.startTls()
    }
    if (ehlo !== undefined) checkOffer((await client.command('EHLO mail.ailleurs.example')).raw, ehlo)
    for (const [line = '', ...replies] of says) {
      client.write(`${line}\r\n`)
      for (const _ of replies) {
        const { code, lines } = await client.reply()
        const enhanced = /^[245]\.\d+\.\d+(?= )/.exec(lines[0] ?? '')?.[0]
        codes.push(`${line.slice(0, 40)}: ${code} ${enhanced ?? ''}`)
      }
    }
  } finally {
    client.destroy()
  }
  return codes
}

/** The same records for a real name server. */
function zoneOf(zone: typeof seedZone): DnsZone {
  return Object.fromEntries(
    Object.entries(zone).map(([key, records]) => {
      const [type = '', name = ''] = key.split(' ')
      if (records === 'fails') return [name, 'SERVFAIL']
      if (type === 'mx') return [name, { MX: records.map((exchange) => [10, exchange] as const) }]
      return [name, { A: ['127.0.0.2'], TXT: ['listed'] }]
    }),
  )
}
