import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'

import { policyText, startPolicyHost } from '../../shared/mta-sts/testing.ts'
import { dkimRecords } from '../support/configurations.ts'
import { verifyDkim } from '../support/dkim-verify.ts'
import { type DnsServer, type DnsZone, startDns } from '../support/dns.ts'
import { fixture } from '../support/fixtures.ts'
import { type MailSink, type SunkMessage, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { run } from '../support/process.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const conf = `table people { "jane" = "1000:1000:/home/jane" }
listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "scan" relay host "queue://filter"
action "sign" relay host "queue://sign"
action "in" maildir "{{data}}/mail/%{user.username}" userbase <people>
action "out" relay
match tag Signed from any for any action "out"
match tag Filtered from any for domain sluice.test action "in"
match from any for domain sluice.test action "scan"
match from local for any action "sign"
`

const pem = {
  cert: readFileSync(fixture('tls/world.pem'), 'utf8'),
  key: readFileSync(fixture('tls/world.key'), 'utf8'),
}
const [secureHost, plainHost] = ['127.0.0.1', '127.0.0.2']

const policies: Readonly<Record<string, string>> = {
  'mta-sts.enforced.test': policyText('enforce', ['mx.enforced.test']),
  'mta-sts.stripped.test': policyText('enforce', ['*.stripped.test']),
}

/** A domain with one mail host, and where it wants reports on TLS. */
function domain(name: string, address: string, rua?: string, signed = false): DnsZone {
  return {
    [name]: { MX: [[10, `mx.${name}`]], signed },
    [`mx.${name}`]: { A: [address], signed },
    ...(rua === undefined ? {} : { [`_smtp._tls.${name}`]: { TXT: [`v=TLSRPTv1; rua=${rua}`] } }),
  }
}

const zone: DnsZone = {
  ...domain('author.test', secureHost),
  ...domain('silent.test', secureHost),
  '_dmarc.author.test': { TXT: ['v=DMARC1; p=reject; rua=mailto:dmarc@author.test!1m,mailto:x@stranger.test'] },
  'shop.author.test': { TXT: ['v=spf1 -all'] },
  ...domain('enforced.test', secureHost, 'mailto:tls@enforced.test'),
  ...domain('stripped.test', plainHost, 'mailto:tls@stripped.test'),
  ...domain('signed.test', secureHost, 'mailto:tls@signed.test', true),
  ...domain('wrong.test', secureHost, undefined, true),
  'mta-sts.trial.test': { A: ['127.0.0.1'] },
  ...Object.fromEntries(
    Object.keys(policies).flatMap((name) => [
      [name, { A: ['127.0.0.1'] }],
      [name.replace('mta-sts', '_mta-sts'), { TXT: ['v=STSv1; id=1;'] }],
    ]),
  ),
  ...Object.fromEntries(Object.entries(dkimRecords()).map(([name, text]) => [name, { TXT: [text] }])),
}

const publicKey = new X509Certificate(pem.cert).publicKey.export({ type: 'spki', format: 'der' })
const digest = createHash('sha256').update(publicKey).digest('hex')

interface TlsReport {
  readonly 'organization-name': string
  readonly policies: readonly {
    readonly policy: {
      readonly 'policy-type': string
      readonly 'policy-domain': string
      readonly 'policy-string'?: string[]
    }
    readonly summary: Readonly<Record<string, number>>
    readonly 'failure-details'?: readonly Readonly<Record<string, unknown>>[]
  }[]
}

interface Listed {
  readonly kind: string
  readonly domain: string
  readonly count: number
  readonly state: string
  readonly to?: string
  readonly reason?: string
}

describe('aggregate reports', { skip: missingPeers('python3', 'dkimverify') }, () => {
  const closing: { stop(): Promise<void> }[] = []
  const posted: Buffer[] = []
  let dns: DnsServer
  let secure: MailSink
  let clear: MailSink
  let system: MailSystem
  let day = ''

  function keep<Stopped extends { stop(): Promise<void> }>(one: Stopped): Stopped {
    closing.push(one)
    return one
  }

  before(async () => {
    dns = keep(await startDns(zone))
    const hosts = await startPolicyHost(pem, (request, response) => {
      if (request.method !== 'POST') return policies[(request.headers.host ?? '').split(':')[0] ?? '']
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        posted.push(Buffer.concat(chunks))
        response.writeHead(201).end()
      })
      return undefined
    })
    closing.push({ stop: () => hosts.close() })
    secure = keep(await startMailSink({ host: secureHost, tls: pem }))
    clear = keep(await startMailSink({ host: plainHost, port: secure.port }))
    dns.set({
      'author.test TXT': { TXT: ['v=spf1 ip4:127.0.0.1 -all'] },
      '_smtp._tls.wrong.test': { TXT: [`v=TLSRPTv1; rua=https://mta-sts.trial.test:${hosts.port}/tlsrpt`] },
      [`_${secure.port}._tcp.mx.signed.test`]: { TLSA: [`030101${digest}`], signed: true },
      [`_${secure.port}._tcp.mx.wrong.test`]: { TLSA: [`030101${'ab'.repeat(32)}`], signed: true },
    })
    system = keep(
      await MailSystem.start({
        conf,
        pipeline: `resolver "${dns.address}" validating
relay port ${secure.port}
tls ca "{{fixtures}}/tls/world-ca.pem"
mta-sts opportunistic port ${hosts.port}
dane opportunistic
queue "filter" tag Filtered
queue "sign" tag Signed
dkim domain "sluice.test" selector "test" key "{{fixtures}}/dkim/rsa.key"
report dmarc from "dmarc-reports@sluice.test" as "Example & Sons"
report tls from "tls-reports@sluice.test" as "Example & Sons"
spam engine builtin classifier off
`,
      }),
    )
    await happen()
  })

  after(async () => {
    for (const one of closing.toReversed()) await one.stop()
  })

  async function send(id: string, from: string, to: string): Promise<void> {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    await client.send({ from, to: [to], content: testMessage({ id, from, to }) })
    await client.quit()
  }

  /** A day of a small host; then the day is over. */
  async function happen(): Promise<void> {
    for (const id of ['good-1', 'good-2']) await send(id, 'ann@author.test', 'jane@sluice.test')
    await send('forged', 'ann@shop.author.test', 'jane@sluice.test')
    await send('unasked', 'ann@silent.test', 'jane@sluice.test')
    for (const name of ['enforced', 'stripped', 'signed', 'wrong'])
      await send(name, 'jane@sluice.test', `ann@${name}.test`)
    await system.maildir('jane').waitForMessages(4)
    let seen = 0
    while (seen < 7) {
      const { reports } = (await system.ctlJson('reports', 'list')) as { reports: Listed[] }
      seen = reports.reduce((sum, { count }) => sum + count, 0)
    }
    for (const kind of ['dmarc', 'tls']) {
      const folder = join(system.dataFolder, 'reports', kind)
      const [today = ''] = await readdir(folder)
      day = new Date(Date.parse(today) - 86_400_000).toISOString().slice(0, 10)
      await rename(join(folder, today), join(folder, day))
    }
    // The ledger may have been faster.
    await system.ctlJson('reports', 'send', '--day', day)
    const { reports } = (await system.ctlJson('reports', 'list', '--day', day)) as { reports: Listed[] }
    const states = reports.map(({ kind, domain, state }) => `${kind} ${domain} ${state}`)
    assert.deepEqual(states.toSorted(), [
      'dmarc author.test impossible',
      'dmarc author.test sent',
      'tls enforced.test sent',
      'tls signed.test sent',
      'tls stripped.test sent',
      'tls wrong.test sent',
    ])
  }

  const about = (name: string) => (one: SunkMessage) => one.header.includes(`Report Domain: ${name}\r\n`)

  /** What Python finds in the mail; it ends with an error where the structure is not that of the RFC. */
  async function parsed(mail: SunkMessage): Promise<unknown> {
    const { code, stdout, stderr } = await run('/usr/bin/python3', [fixture('reports/read_report.py')], {
      input: mail.content,
    })
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  }

  test('the author domain is told who sent in its name, in a signed mail that is as RFC 7489 wants it', async () => {
    const mail = await secure.waitForMessage(about('author.test'))
    assert.deepEqual([mail.from, mail.recipients], ['', ['dmarc@author.test']])
    const verdict = await verifyDkim(mail.content, dkimRecords())
    assert.equal(verdict.valid, true, verdict.detail)
    const report = (await parsed(mail)) as { readonly [field: string]: unknown; readonly rows: readonly object[] }
    const { rows, ...frame } = report
    assert.deepEqual(frame, {
      kind: 'dmarc',
      organisation: 'Example & Sons',
      contact: 'dmarc-reports@sluice.test',
      day,
      domain: 'author.test',
      policy: 'reject',
    })
    const row = { ip: '127.0.0.1', dkim: 'fail', dkimResults: [] }
    assert.deepEqual(rows, [
      {
        ...row,
        count: 2,
        disposition: 'none',
        spf: 'pass',
        reasons: [],
        from: 'author.test',
        spfResult: 'author.test mfrom pass',
      },
      {
        ...row,
        count: 1,
        disposition: 'quarantine',
        spf: 'fail',
        reasons: ['local_policy'],
        from: 'shop.author.test',
        spfResult: 'shop.author.test mfrom fail',
      },
    ])
    assert.doesNotMatch(JSON.stringify(report), /ann@|jane@/)
  })

  test('a host that does not say that it takes reports gets none, and the log tells why', async () => {
    const { reports } = (await system.ctlJson('reports', 'list', '--kind', 'dmarc')) as { reports: Listed[] }
    const refused = reports.find(({ to }) => to === 'mailto:x@stranger.test')
    assert.equal(refused?.state, 'impossible')
    assert.match(refused?.reason ?? '', /author\.test\._report\._dmarc\.stranger\.test/)
  })

  test('a domain is told that its policy was met', async () => {
    const mail = await secure.waitForMessage(about('enforced.test'))
    const verdict = await verifyDkim(mail.content, dkimRecords())
    assert.equal(verdict.valid, true, verdict.detail)
    const report = (await parsed(mail)) as TlsReport
    assert.equal(report['organization-name'], 'Example & Sons')
    assert.deepEqual(
      report.policies.map(({ policy, summary }) => [policy['policy-type'], policy['policy-string'], summary]),
      [
        [
          'sts',
          ['version: STSv1', 'mode: enforce', 'mx: mx.enforced.test', 'max_age: 86400'],
          { 'total-successful-session-count': 1, 'total-failure-session-count': 0 },
        ],
      ],
    )
    const dane = (await parsed(await secure.waitForMessage(about('signed.test')))) as TlsReport
    assert.deepEqual(
      dane.policies.map(({ policy, summary }) => [policy['policy-type'], policy['policy-string'], summary]),
      [['tlsa', [`3 1 1 ${digest}`], { 'total-successful-session-count': 1, 'total-failure-session-count': 0 }]],
    )
  })

  test('a report on TLS arrives at the very host that TLS fails with', async () => {
    const mail = await clear.waitForMessage(about('stripped.test'))
    assert.equal(mail.secure, false)
    const { policies: found } = (await parsed(mail)) as TlsReport
    const [failure] = found[0]?.['failure-details'] ?? []
    assert.deepEqual(
      [failure?.['result-type'], failure?.['receiving-mx-hostname'], failure?.['receiving-ip']],
      ['starttls-not-supported', 'mx.stripped.test', plainHost],
    )
    assert.equal(clear.copies.get('stripped'), undefined, 'the mail itself waits')
  })

  test('a collector gets its report by HTTPS', () => {
    assert.equal(posted.length, 1)
    const report = JSON.parse(gunzipSync(posted[0] as Buffer).toString()) as TlsReport
    const [policy] = report.policies
    assert.equal(policy?.policy['policy-domain'], 'wrong.test')
    assert.equal(policy?.policy['policy-type'], 'tlsa')
    assert.deepEqual(
      policy?.['failure-details']?.map((one) => one['result-type']),
      ['certificate-not-trusted'],
    )
  })

  test('what was sent is not sent again, nor by another start, which sends of itself what is due', async () => {
    await system.kill('ledger', 'SIGTERM')
    // The reports themselves went to hosts: sessions with that of the DMARC report are told, as any.
    dns.set({ '_smtp._tls.author.test': { TXT: ['v=TLSRPTv1; rua=mailto:later@author.test'] } })
    const folder = join(system.dataFolder, 'reports', 'tls')
    const today = (await readdir(folder)).find((name) => name > day)
    assert.ok(today !== undefined)
    const earlier = new Date(Date.parse(day) - 86_400_000).toISOString().slice(0, 10)
    await rename(join(folder, today), join(folder, earlier))
    await system.restart('ledger')
    const mail = await secure.waitForMessage((one) => one.recipients.includes('later@author.test'))
    const { policies: found } = (await parsed(mail)) as TlsReport
    assert.deepEqual(
      found.map(({ policy, summary }) => [policy['policy-type'], summary['total-successful-session-count']]),
      [['no-policy-found', 1]],
    )
    const { stdout } = await system.ctl('reports', 'send', '--day', day)
    assert.match(stdout, /dmarc: 0 sent, 0 failed[^]*tls: 0 sent, 0 failed/)
    assert.equal(secure.messages.filter(about('author.test')).length, 2)
  })
})
