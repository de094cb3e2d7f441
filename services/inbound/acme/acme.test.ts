import assert from 'node:assert/strict'
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { AcmeSettings } from '../../../shared/config/model.ts'
import { silentLog } from '../../../shared/log.ts'
import { SmtpClient } from '../../../test/support/smtp-client.ts'
import { startInbound, testPipeline, testPki } from '../testing.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { keepCertificate } from './acme-keeper.ts'
import type { AcmeKeeper, AcmeParts } from './acme-keeper.ts'
import { ensurePair } from './certificate-pair.ts'
import { orderCertificate } from './order-certificate.ts'
import { dueAt, fits } from './renewal.ts'
import { fetchProof, startAuthority } from './testing.ts'

const domains = ['mx.example.org', 'mail.example.org']
const day = 86_400_000

test('a certificate is ordered with proofs by HTTP, for the key that stays, under one account', async (t) => {
  const { settings, port } = await site(t)
  const authority = await startAuthority({
    type: 'http-01',
    proves: async ({ token, expected }) => (await fetchProof(port, token)) === `200 ${expected}`,
  })
  t.after(() => authority.close())
  const ours = { ...settings, directory: authority.directory }
  const key = await readFile(settings.keyFile, 'utf8')
  for (let round = 0; round < 2; round += 1) {
    const certificate = new X509Certificate(await orderCertificate(ours))
    assert.equal(certificate.subjectAltName, 'DNS:mx.example.org, DNS:mail.example.org')
  }
  assert.equal(await readFile(settings.keyFile, 'utf8'), key)
  assert.equal((await stat(`${settings.keyFile}.account`)).mode & 0o777, 0o600)
  assert.deepEqual(authority.contacts, ['mailto:postmaster@example.org'])
})

test('a certificate is ordered with proofs by a hook that sets DNS records, and takes them away', async (t) => {
  const { settings, folder } = await site(t)
  const hook = join(folder, 'hook')
  const [calls, there] = [join(folder, 'calls'), join(folder, 'there')]
  await writeFile(hook, `#!/bin/sh\necho "$1 $2" >>${calls}\n[ "$1" = cleanup ] && exit 0\necho "$2 $3" >>${there}\n`)
  await chmod(hook, 0o755)
  const wild = ['*.example.org', 'example.net']
  const authority = await startAuthority({
    type: 'dns-01',
    proves: async ({ domain, expected }) =>
      (await readFile(there, 'utf8')).split('\n').includes(`_acme-challenge.${domain} ${expected}`),
  })
  t.after(() => authority.close())
  const ours = { ...settings, directory: authority.directory, domains: wild, challenge: { kind: 'dns', hook } } as const
  assert.equal(dueAt(await orderCertificate(ours), wild) > 0, true)
  assert.deepEqual((await readFile(calls, 'utf8')).trim().split('\n').sort(), [
    'cleanup _acme-challenge.example.net',
    'cleanup _acme-challenge.example.org',
    'present _acme-challenge.example.net',
    'present _acme-challenge.example.org',
  ])
  await writeFile(hook, '#!/bin/sh\necho no such zone >&2\nexit 3\n')
  await assert.rejects(orderCertificate(ours), /hook present: exit code 3: no such zone/)
})

test('an authority that gives no answer is named, with the reason', async (t) => {
  const { settings } = await site(t)
  const { axios } = await import('acme-client')
  const usual = 'acmeSettings' in axios.defaults ? axios.defaults.acmeSettings : undefined
  t.after(() => Object.assign(axios.defaults, { acmeSettings: usual }))
  Object.assign(axios.defaults, { acmeSettings: { retryMaxAttempts: 1, retryDefaultDelay: 0 } })
  const directory = `http://127.0.0.1:${await freePort()}/directory`
  await assert.rejects(orderCertificate({ ...settings, directory }), {
    name: 'Error',
    message: `${directory} gives no answer: ECONNREFUSED`,
  })
})

test('a certificate of other names is not taken, and neither is none', async (t) => {
  const { settings } = await site(t)
  for (const [names, proves] of [
    [['evil.example.net'], true],
    [domains, false],
  ] as const) {
    const authority = await startAuthority({ type: 'http-01', names, proves: () => Promise.resolve(proves) })
    t.after(() => authority.close())
    await assert.rejects(orderCertificate({ ...settings, directory: authority.directory }))
  }
})

test('listeners have a self-signed certificate before the first order, whoever makes it', async (t) => {
  const { settings } = await site(t)
  await rm(settings.certFile)
  await rm(settings.keyFile)
  await Promise.all([1, 2, 3].map(() => ensurePair(settings)))
  const [cert, key] = [await readFile(settings.certFile, 'utf8'), await readFile(settings.keyFile, 'utf8')]
  assert.ok(fits(cert, ['mx.example.org'], (one) => one.checkPrivateKey(createPrivateKey(key))))
  assert.equal((await stat(settings.keyFile)).mode & 0o777, 0o600)
  assert.equal(dueAt(cert, ['mx.example.org']), 0)
  await ensurePair(settings)
  assert.equal(await readFile(settings.certFile, 'utf8'), cert)
})

test('a TLS listener opens before its certificate was ever ordered', async (t) => {
  const { settings } = await site(t)
  await rm(settings.certFile)
  await rm(settings.keyFile)
  const pki = { ...testPki, cert: settings.certFile, key: settings.keyFile }
  const inbound = await startInbound({
    listener: { tls: 'offered' },
    configuration: { pkis: new Map([['server', pki]]), pipeline: { ...testPipeline, acme: settings } },
  })
  t.after(() => inbound.close())
  const client = await SmtpClient.ready({ port: inbound.port, starttls: true })
  await client.quit()
})

test('one is due at once when it is none or names others, else after two thirds of its life', async (t) => {
  const { settings, issue } = await site(t)
  const pem = await issue()
  const { validFrom, validTo } = new X509Certificate(pem)
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)]
  const due = dueAt(pem, domains)
  assert.ok(due >= from + ((to - from) * 2) / 3 && due < from + (to - from) * 0.72)
  assert.equal(dueAt(pem, domains), due)
  assert.equal(dueAt(pem, [...domains, 'new.example.org']), 0)
  assert.equal(dueAt('', domains), 0)
  assert.equal(dueAt(await readFile(settings.certFile, 'utf8'), domains), 0)
})

test('the keeper orders when one is due, and tries again later and later when that fails', async (t) => {
  const { settings, issue, folder } = await site(t)
  const clock = { now: () => now }
  let now = Date.now()
  let fails = true
  let orders = 0
  let renewed = 0
  const keeper = kept(t, {
    settings,
    dataFolder: folder,
    clock,
    order: () => {
      orders += 1
      return fails ? Promise.reject(new Error('rate limited')) : issue()
    },
    onRenewed: async () => void (renewed += 1),
  })
  const checkedAfter = async (minutes: number): Promise<number> => {
    now += minutes * 60_000
    await keeper.check()
    return orders
  }
  assert.equal(await checkedAfter(0), 1)
  assert.equal(await checkedAfter(9), 1)
  assert.equal(await checkedAfter(1), 2)
  assert.equal(await checkedAfter(10), 2)
  assert.equal(await checkedAfter(10), 3)
  fails = false
  const before = await readFile(settings.certFile, 'utf8')
  assert.equal(await checkedAfter(40), 4)
  assert.equal(renewed, 1)
  const first = await readFile(settings.certFile, 'utf8')
  assert.notEqual(first, before)
  assert.equal(await checkedAfter(10), 4)
  now += 55 * day
  assert.equal(await checkedAfter(0), 4)
  now += 15 * day
  assert.equal(await checkedAfter(0), 5)
  assert.notEqual(await readFile(settings.certFile, 'utf8'), first)
})

test('of several processes one orders', async (t) => {
  const { settings, issue, folder } = await site(t)
  let orders = 0
  let finish: () => void = () => undefined
  const begun = new Promise<void>((resolve) => (finish = resolve))
  const parts = { settings, dataFolder: folder, clock: { now: Date.now }, onRenewed: async () => undefined }
  const one = kept(t, {
    ...parts,
    order: async () => {
      orders += 1
      finish()
      return issue()
    },
  })
  const checked = one.check()
  await begun
  const other = kept(t, { ...parts, order: () => Promise.reject(new Error('the other one orders')) })
  await other.check()
  await checked
  assert.equal(orders, 1)
})

function kept(t: TestContext, parts: Omit<AcmeParts, 'log'>): AcmeKeeper {
  const keeper = keepCertificate({ ...parts, log: silentLog() })
  t.after(() => keeper.close())
  return keeper
}

/** Settings with a self-signed pair in place, and a way to a certificate for it that asks nobody. */
async function site(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'acme-'))
  t.after(() => rm(folder, { recursive: true }))
  const port = await freePort()
  const settings: AcmeSettings = {
    directory: 'http://127.0.0.1:1/',
    email: 'postmaster@example.org',
    domains,
    certFile: join(folder, 'cert.pem'),
    keyFile: join(folder, 'key.pem'),
    challenge: { kind: 'http', host: '127.0.0.1', port },
  }
  await ensurePair(settings)
  const issue = async (): Promise<string> => {
    const authority = await startAuthority({ type: 'http-01', proves: () => Promise.resolve(true) })
    try {
      return await orderCertificate({ ...settings, directory: authority.directory })
    } finally {
      await authority.close()
    }
  }
  return { folder, port, settings, issue }
}
