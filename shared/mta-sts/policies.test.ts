import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { silentLog } from '../log.ts'
import type { LookUp } from '../resolver.ts'
import { selfSignedCertificate } from '../start/self-signed.ts'
import { StsPolicies } from './policies.ts'
import { policyText, startPolicyHost } from './testing.ts'

const pem = await selfSignedCertificate('mta-sts.far.test')
const closing: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closing) await close()
})

const day = 86_400_000
const failed: LookUp<string> = { kind: 'failed', error: new Error('SERVFAIL') }
const absent: LookUp<string> = { kind: 'absent', name: true }

interface World {
  nowAt: number
  txt: LookUp<string>
  answer: (request: IncomingMessage, response: ServerResponse) => string | undefined
}

/** far.test, its policy host, and a clock that stands still. */
async function farTest(answer: World['answer'] = () => policyText('enforce', ['mx.far.test'])) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-sts-'))
  const world: World = { nowAt: 1_000_000, txt: announce('1'), answer }
  const host = await startPolicyHost(pem, (request, response) => world.answer(request, response))
  closing.push(async () => {
    await host.close()
    await rm(folder, { recursive: true })
  })
  const resolver = {
    txt: async (name: string) => (name === '_mta-sts.far.test' ? world.txt : absent),
    a: async (name: string): Promise<LookUp<string>> =>
      name === 'mta-sts.far.test' ? { kind: 'found', records: ['127.0.0.1'] } : absent,
    aaaa: async () => absent,
  }
  const open = (ca: string | undefined = pem.cert) => {
    const clock = { now: () => world.nowAt }
    const policies = new StsPolicies({ folder, clock, log: silentLog() })
    closing.push(() => policies.close())
    const lookUp = { resolver, port: host.port, ...(ca === '' ? {} : { ca }) }
    return { policies, ask: () => policies.of('far.test', lookUp) }
  }
  return { world, host, folder, open, ...open() }
}

function announce(id: string): LookUp<string> {
  return { kind: 'found', records: [`v=STSv1; id=${id};`] }
}

const enforced = { mode: 'enforce', mx: ['mx.far.test'], maxAgeMs: day }

test('a policy is fetched once, and again when the record has a new id', async () => {
  const { world, host, ask } = await farTest()
  assert.deepEqual(await Promise.all([ask(), ask(), ask()]), [enforced, enforced, enforced])
  assert.deepEqual(await ask(), enforced)
  assert.deepEqual(host.asked, [`mta-sts.far.test:${host.port} /.well-known/mta-sts.txt`])
  world.txt = announce('2')
  world.answer = () => policyText('testing', ['*.far.test'])
  assert.deepEqual(await ask(), { ...enforced, mode: 'testing', mx: ['*.far.test'] })
  assert.equal(host.asked.length, 2)
})

test('a domain without a record is not asked for a policy', async () => {
  const { world, host, ask } = await farTest()
  for (const txt of [absent, failed]) {
    world.txt = txt
    assert.equal(await ask(), undefined)
  }
  assert.deepEqual(host.asked, [])
})

test('a policy holds to its end, whatever becomes of record and policy host', async () => {
  const { world, ask } = await farTest()
  await ask()
  world.answer = (_, response) => void response.writeHead(404).end()
  for (const txt of [absent, failed, announce('2')]) {
    world.txt = txt
    assert.deepEqual(await ask(), enforced)
  }
  world.nowAt += day
  assert.equal(await ask(), undefined)
})

test('a policy outlives a restart, and other processes have it too', async () => {
  const { world, host, ask, open } = await farTest()
  await ask()
  world.txt = failed
  assert.deepEqual(await open().ask(), enforced)
  world.txt = announce('1')
  assert.deepEqual(await open().ask(), enforced)
  assert.equal(host.asked.length, 1)
})

test('after a fetch that failed the same policy is left alone for five minutes', async () => {
  const { world, host, ask } = await farTest((_, response) => void response.writeHead(500).end())
  assert.equal(await ask(), undefined)
  assert.equal(await ask(), undefined)
  assert.equal(host.asked.length, 1)
  world.answer = () => policyText('enforce', ['mx.far.test'])
  world.nowAt += 300_000
  assert.deepEqual(await ask(), enforced)
})

test('mode none takes back what was asked', async () => {
  const { world, ask } = await farTest()
  await ask()
  world.txt = announce('2')
  world.answer = () => policyText('none', [])
  assert.equal(await ask(), undefined)
})

test('a policy in use is fetched anew each day, and mail does not wait for that', async () => {
  const policy = policyText('enforce', ['mx.far.test'], 10 * 86_400)
  const { world, ask } = await farTest(() => policy)
  await ask()
  world.nowAt += 2 * day
  let pending: ServerResponse | undefined
  const again = new Promise<void>((resolve) => {
    world.answer = (_, response) => {
      pending = response
      resolve()
      return undefined
    }
  })
  assert.equal((await ask())?.mode, 'enforce')
  await again
  pending?.writeHead(200, { 'content-type': 'text/plain' }).end(policy)
})

test('only a 200 of plain text within bounds, from the host that the certificate names, is a policy', async () => {
  const policy = policyText('enforce', ['mx.far.test'])
  const answers: readonly World['answer'][] = [
    (_, response) => void response.writeHead(301, { location: '/other' }).end(),
    (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end(policy),
    (_, response) => void response.writeHead(200).end(policy),
    () => `${policy}x: ${'x'.repeat(70_000)}`,
    () => 'not found',
    (request) => void request.socket.destroy(),
  ]
  for (const [index, answer] of answers.entries()) {
    const { ask, host } = await farTest(answer)
    assert.equal(await ask(), undefined, `answer ${index}`)
    assert.equal(host.asked.length, 1)
  }
  const { open, host } = await farTest()
  assert.equal(await open('').ask(), undefined)
  assert.equal(await open((await selfSignedCertificate('mta-sts.far.test')).cert).ask(), undefined)
  assert.deepEqual(host.asked, [])
})

test('a certificate for another name is none', async () => {
  const other = await selfSignedCertificate('mta-sts.other.test')
  const host = await startPolicyHost(other, () => policyText('enforce', ['mx.far.test']))
  const folder = await mkdtemp(join(tmpdir(), 'sluice-sts-'))
  closing.push(async () => {
    await host.close()
    await rm(folder, { recursive: true })
  })
  const policies = new StsPolicies({ folder, clock: { now: () => 1 }, log: silentLog() })
  const resolver = {
    txt: async () => announce('1'),
    a: async (): Promise<LookUp<string>> => ({ kind: 'found', records: ['127.0.0.1'] }),
    aaaa: async () => absent,
  }
  const lookUp = { resolver, port: host.port, ca: other.cert }
  assert.equal(await policies.of('far.test', lookUp), undefined)
  assert.equal((await policies.of('other.test', lookUp))?.mode, 'enforce')
  await policies.close()
})

test('files of policies that have ended are swept away', async () => {
  const { world, ask, folder, open } = await farTest()
  await ask()
  await open().policies.sweep()
  assert.deepEqual(await readdir(folder), ['far.test.json'])
  world.nowAt += day
  await open().policies.sweep()
  assert.deepEqual(await readdir(folder), [])
})

test('why a policy that is announced is not there can be told, for as long as it is so', async () => {
  const { world, ask, policies, open } = await farTest((_, response) => void response.writeHead(500).end())
  assert.equal(policies.troubleOf('far.test'), undefined)
  await ask()
  assert.deepEqual(policies.troubleOf('far.test'), { kind: 'fetch', reason: 'the policy host answered 500' })
  world.answer = () => 'version: STSv2\n'
  world.txt = announce('2')
  await ask()
  assert.equal(policies.troubleOf('far.test')?.kind, 'invalid')
  const distrusting = open('')
  await distrusting.ask()
  assert.equal(distrusting.policies.troubleOf('far.test')?.kind, 'certificate')
  world.txt = absent
  await distrusting.ask()
  assert.equal(distrusting.policies.troubleOf('far.test'), undefined, 'it is not announced any more')
  world.txt = announce('3')
  world.answer = () => policyText('enforce', ['mx.far.test'])
  await ask()
  assert.equal(policies.troubleOf('far.test'), undefined)
})
