import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { dayOf } from '../../shared/aggregate-reports/facts.ts'
import { readTlsFacts } from '../../shared/aggregate-reports/read-facts.ts'
import type { Events } from '../../shared/events.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import { formatReply } from '../../shared/mail/reply.ts'
import { PolicyFiles } from '../../shared/mta-sts/policy-files.ts'
import { policyText } from '../../shared/mta-sts/testing.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { polite, startServer } from '../../shared/smtp-client/testing.ts'
import type { TakenMessage } from '../../shared/smtp-client/testing.ts'
import { selfSignedCertificate } from '../../shared/start/self-signed.ts'
import { type DnsZone, startDns } from '../../test/support/dns.ts'
import { openRelay } from './index.ts'
import { relayAction, stageContext, stageMessage } from './testing.ts'
import type { Surroundings } from './testing.ts'

const pem = await selfSignedCertificate('mx.far.test')
const closing: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closing) await close()
})

type Failure = Parameters<Events['tlsPolicyFailed']>[0]

interface FarTest {
  readonly mode?: 'enforce' | 'testing' | 'none'
  /** Of the policy. */
  readonly named?: readonly string[]
  /** Of far.test; both are one server. */
  readonly hosts?: readonly string[]
  readonly tls?: boolean
  /** We trust the certificate. */
  readonly trusted?: boolean
  readonly message?: StageMessage
  readonly more?: Partial<Surroundings>
}

/** far.test with a policy that we know from before: its record cannot be looked up any more. */
async function farTest({ mode = 'enforce', named = ['mx.far.test'], hosts = ['mx.far.test'], ...options }: FarTest) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-sts-'))
  closing.push(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'ca.pem'), pem.cert)
  const kept = { id: '1', fetchedAt: Date.now() }
  await new PolicyFiles(join(folder, 'mta-sts')).write('far.test', kept, policyText(mode, named))
  const taken: TakenMessage[] = []
  const server = await startServer(polite(taken, options.tls === false ? {} : { tls: pem }))
  closing.push(() => server.close())
  const failures: Failure[] = []
  const context = stageContext({
    zones: {
      mx: { 'far.test': hosts.map((exchange, index) => ({ exchange, priority: index })) },
      a: Object.fromEntries(hosts.map((host) => [host, ['127.0.0.1']])),
      txt: { '_mta-sts.far.test': 'fail' },
    },
    relayPort: server.port,
    action: relayAction(options.trusted === false ? {} : { ca: 'test' }),
    cas: new Map([['test', join(folder, 'ca.pem')]]),
    dataFolder: folder,
    mtaSts: { mode: 'opportunistic', port: 443 },
    events: { tlsPolicyFailed: (failure) => failures.push(failure) },
    ...options.more,
  })
  const [attempt] = await relayOne(context, options.message)
  assert.ok(attempt !== undefined)
  return { attempt, said: formatReply(attempt.reply), taken, server, failures, dataFolder: folder }
}

async function relayOne(context: StageContext, message = stageMessage()): Promise<readonly DeliveryAttempt[]> {
  const stage = await openRelay(context)
  const disposition = await stage.handle(message, context)
  await stage.close()
  assert.ok(disposition.kind === 'settled')
  return disposition.attempts
}

test('enforce: a host that the policy names, with its certificate, gets the mail', async () => {
  const { said, attempt, failures, taken } = await farTest({})
  assert.equal(said, '250 2.0.0 queued')
  assert.deepEqual(attempt.tls, { session: 'TLSv1.3 TLS_AES_256_GCM_SHA384', trust: 'mta-sts' })
  assert.deepEqual([failures, taken.length], [[], 1])
})

test('enforce: a host that the policy does not name is not even connected to', async () => {
  const { said, server, failures } = await farTest({ named: ['*.mx.far.test'] })
  assert.match(said, /^451 4\.7\.0 No mail server of far\.test .*MTA-STS.*mx\.far\.test/)
  assert.equal(server.sessions.length, 0)
  assert.deepEqual(
    failures.map(({ mode, domain }) => [mode, domain]),
    [['enforce', 'far.test']],
  )
})

test('enforce: hosts that the policy names are used beside others', async () => {
  const { attempt, server } = await farTest({ hosts: ['evil.test', 'mx.far.test'] })
  assert.match(attempt.remoteMta ?? '', /^mx\.far\.test\[/)
  assert.equal(server.sessions.length, 1)
})

test('TLS-Required: No goes before the policy of the domain, and does not say so of REQUIRETLS', async () => {
  const content = 'TLS-Required:\r\n No\r\nSubject: x\r\n\r\nx\r\n'
  const { said, taken } = await farTest({ tls: false, message: stageMessage({ content }) })
  assert.equal(said, '250 2.0.0 queued')
  assert.equal(taken.length, 1)
  const other = content.replace(' No', ' Yes')
  assert.match((await farTest({ tls: false, message: stageMessage({ content: other }) })).said, /^451 /)
  const twice = `TLS-Required: No\r\n${content}`
  assert.match((await farTest({ tls: false, message: stageMessage({ content: twice }) })).said, /^451 /)
  const both = stageMessage({ content, envelope: { requireTls: true } })
  assert.match((await farTest({ tls: false, message: both })).said, /^451 /)
})

test('`tls ca` names the authorities that mail hosts are checked with, where the action names none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-sts-'))
  closing.push(() => rm(folder, { recursive: true }))
  const tlsCa = join(folder, 'authorities.pem')
  await writeFile(tlsCa, pem.cert)
  assert.equal((await farTest({ trusted: false, more: { tlsCa } })).attempt.tls?.trust, 'mta-sts')
})

test('enforce: without STARTTLS, or with a certificate that is not trusted, the mail waits and never goes in clear', async () => {
  for (const options of [{ tls: false }, { trusted: false }]) {
    const { said, taken, failures } = await farTest(options)
    assert.match(said, /^451 4\.7\.[45] .*demanded by the MTA-STS policy of far\.test/)
    assert.equal(taken.length, 0)
    assert.deepEqual(
      failures.map((one) => [one.mode, one.policy]),
      [['enforce', 'mta-sts']],
    )
  }
})

test('enforce holds also where the action asks for TLS without verification', async () => {
  const { said } = await farTest({ trusted: false, more: { action: relayAction({ tls: 'no-verify' }) } })
  assert.match(said, /^451 4\.7\.5 /)
})

test('testing: the mail goes, and what would have kept it back is told', async () => {
  const cases: readonly (readonly [FarTest, RegExp])[] = [
    [{ tls: false }, /^no TLS$/],
    [{ trusted: false }, /certificate is not trusted/],
    [{ named: ['other.test'] }, /does not name the host/],
  ]
  for (const [options, reason] of cases) {
    const { said, failures } = await farTest({ ...options, mode: 'testing' })
    assert.equal(said, '250 2.0.0 queued')
    assert.deepEqual(
      failures.map((one) => one.mode),
      ['testing'],
    )
    assert.match(failures[0]?.reason ?? '', reason)
  }
  assert.deepEqual((await farTest({ mode: 'testing' })).failures, [])
})

test('`mta-sts testing` takes every policy for one in testing, `mta-sts off` looks at none', async () => {
  const testing = await farTest({ tls: false, more: { mtaSts: { mode: 'testing', port: 443 } } })
  assert.deepEqual([testing.said, testing.failures.map((one) => one.mode)], ['250 2.0.0 queued', ['testing']])
  const off = await farTest({ tls: false, more: { mtaSts: { mode: 'off', port: 443 } } })
  assert.deepEqual([off.said, off.failures], ['250 2.0.0 queued', []])
})

test('mode none asks for nothing', async () => {
  const { said, failures } = await farTest({ mode: 'none', tls: false })
  assert.deepEqual([said, failures], ['250 2.0.0 queued', []])
})

interface SignedTest {
  /** TLSA records in hex, or trouble with them. */
  readonly tlsa?: readonly string[] | 'SERVFAIL'
  /** The domain and the host's addresses are signed. */
  readonly signed?: { readonly domain?: boolean; readonly host?: boolean }
  readonly tls?: boolean
  /** In place of the records of mx.signed.test. */
  readonly zone?: DnsZone
  /** Which name the TLSA records belong to. */
  readonly base?: string
  readonly more?: Partial<Surroundings>
}

const publicKey = new X509Certificate(pem.cert).publicKey.export({ type: 'spki', format: 'der' })
const ours = `030101${createHash('sha256').update(publicKey).digest('hex')}`
const others = `030101${'ab'.repeat(32)}`

/** signed.test with DANE; its policy of MTA-STS names no host that there is. */
async function signedTest(options: SignedTest) {
  const { tlsa = [ours], signed = {}, tls = true, zone = {}, base = 'mx.signed.test', more = {} } = options
  const { domain = true, host = true } = signed
  const dns = await startDns({
    'signed.test': { MX: [[10, 'mx.signed.test']], signed: domain },
    'mx.signed.test': { A: ['127.0.0.1'], signed: host },
    ...zone,
  })
  const taken: TakenMessage[] = []
  const server = await startServer(polite(taken, tls ? { tls: pem } : {}))
  dns.set({ [`_${server.port}._tcp.${base}`]: tlsa === 'SERVFAIL' ? tlsa : { TLSA: tlsa, signed: true } })
  closing.push(
    () => server.close(),
    () => dns.stop(),
  )
  const failures: Failure[] = []
  const context = stageContext({
    relayPort: server.port,
    validatingResolvers: [dns.address],
    events: { tlsPolicyFailed: (failure) => failures.push(failure) },
    ...more,
  })
  const [attempt] = await relayOne(context, stageMessage({ to: ['ann@signed.test'], destination: 'signed.test' }))
  assert.ok(attempt !== undefined)
  return { attempt, said: formatReply(attempt.reply), taken, server, dns, failures }
}

test('dane: a host whose certificate is the one of its TLSA records gets the mail', async () => {
  const { said, attempt, failures } = await signedTest({ tlsa: [others, ours] })
  assert.equal(said, '250 2.0.0 queued')
  assert.deepEqual([attempt.tls?.trust, failures], ['dane', []])
})

test('dane: another certificate, or no STARTTLS, and the mail waits and never goes in clear', async () => {
  for (const options of [{ tlsa: [others] }, { tls: false }]) {
    const { said, taken, failures } = await signedTest(options)
    assert.match(said, /^451 4\.7\.[45] .*demanded by the TLSA records \(DANE\) of signed\.test/)
    assert.equal(taken.length, 0)
    assert.deepEqual(
      failures.map((one) => [one.mode, one.policy]),
      [['enforce', 'dane']],
    )
  }
})

test('dane: while the records cannot be looked up the host is not used', async () => {
  const { said, server, failures } = await signedTest({ tlsa: 'SERVFAIL' })
  assert.match(said, /^451 4\.4\.3 .*TLSA.*mx\.signed\.test/)
  assert.equal(server.sessions.length, 0)
  assert.deepEqual(
    failures.map((one) => one.policy),
    ['dane'],
  )
})

test('dane: records that nobody can be checked by demand TLS and no certificate', async () => {
  const secured = await signedTest({ tlsa: ['000101ab'] })
  assert.deepEqual([secured.said, secured.attempt.tls?.trust], ['250 2.0.0 queued', 'unverified'])
  assert.match((await signedTest({ tlsa: ['000101ab'], tls: false })).said, /^451 4\.7\.4 .*DANE/)
})

test('dane: a host that is an alias is held against the records of what it leads to, or else its own', async () => {
  const alias = {
    'mx.signed.test': { CNAME: 'real.signed.test', signed: true },
    'real.signed.test': { A: ['127.0.0.1'], signed: true },
  }
  assert.equal((await signedTest({ zone: alias })).attempt.tls?.trust, 'dane')
  assert.equal((await signedTest({ zone: alias, base: 'real.signed.test' })).attempt.tls?.trust, 'dane')
  assert.match((await signedTest({ zone: alias, base: 'real.signed.test', tlsa: [others] })).said, /^451 4\.7\.5 /)
})

test('dane: only an unbroken chain of signatures counts, and without one nobody asks for TLSA records', async () => {
  for (const signed of [{ domain: false }, { host: false }]) {
    const { said, dns, server } = await signedTest({ signed, tlsa: [others] })
    assert.equal(said, '250 2.0.0 queued')
    assert.equal(dns.count(`_${server.port}._tcp.mx.signed.test`), 0)
  }
})

test('dane goes before MTA-STS, and MTA-STS holds where there are no TLSA records', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-sts-'))
  closing.push(() => rm(folder, { recursive: true }))
  const policy = policyText('enforce', ['elsewhere.test'])
  await new PolicyFiles(join(folder, 'mta-sts')).write('signed.test', { id: '1', fetchedAt: Date.now() }, policy)
  const more: Partial<Surroundings> = { dataFolder: folder, mtaSts: { mode: 'opportunistic', port: 443 } }
  assert.equal((await signedTest({ more })).attempt.tls?.trust, 'dane')
  assert.match((await signedTest({ more, signed: { host: false } })).said, /^451 4\.7\.0 .*MTA-STS/)
})

test('sessions are written down for the domain where it is asked for, those of reports themselves are not', async () => {
  const more = { aggregateReports: { tls: { from: 'reports@example.org' as Mailbox } } }
  const facts = async (options: FarTest) => {
    const { dataFolder } = await farTest({ ...options, more: { ...more, ...options.more } })
    const { byDomain } = await readTlsFacts(dataFolder, dayOf(Date.now()))
    return (byDomain.get('far.test') ?? []).map(({ fact }) => [fact.policy.type, fact.failure?.result])
  }
  assert.deepEqual(await facts({}), [['sts', undefined]])
  assert.deepEqual(await facts({ tls: false }), [['sts', 'starttls-not-supported']])
  assert.deepEqual(await facts({ trusted: false }), [['sts', 'certificate-not-trusted']])
  assert.deepEqual(await facts({ named: ['other.test'] }), [['sts', 'validation-failure']])
  assert.deepEqual(await facts({ more: { aggregateReports: {} } }), [])
  const content = 'TLS-Required: No\r\nTLS-Report-Domain: far.test\r\n\r\nx\r\n'
  const message = stageMessage({ content, envelope: { reversePath: null } })
  assert.deepEqual(await facts({ message }), [])
  assert.deepEqual(await facts({ mode: 'none', message }), [])
})
