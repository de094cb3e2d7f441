import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { zoneResolver } from '../restrictions/testing.ts'
import { selfSignedCertificate } from '../start/self-signed.ts'
import { postEvents } from './post-events.ts'
import { startReceiver } from './testing.ts'

const { signal } = new AbortController()
const resolver = zoneResolver({ 'a hooks.test': ['127.0.0.1'], 'a other.test': ['127.0.0.1'] })
const parts = { resolver, signal, nowAt: 1_700_000_000_999 }
const batch = { id: 'abc', events: ['{"event":"held"}', '{"event":"failed"}'] }

async function secretFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-hook-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'key'), 'the secret\n')
  return folder
}

test('a request is one JSON array, signed over its time and its body, and 2xx alone means taken', async (t) => {
  const secretFile = join(await secretFolder(t), 'key')
  const receiver = await startReceiver()
  t.after(() => receiver.stop())
  const { url } = receiver
  await postEvents({ url, secretFile }, batch, parts)
  const [request] = await receiver.waitForRequests(1)
  assert.ok(request)
  const { headers, body } = request
  assert.equal(body, '[{"event":"held"},{"event":"failed"}]')
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['sluice-event-id'], 'abc')
  const mac = createHmac('sha256', 'the secret').update(`1700000000.${body}`).digest('hex')
  assert.equal(headers['sluice-signature'], `t=1700000000,v1=${mac}`)
  for (const code of [302, 404, 500]) {
    receiver.answer = code
    await assert.rejects(postEvents({ url, secretFile }, batch, parts), new RegExp(`answered ${code}`))
  }
  assert.ok(receiver.requests.every((one) => one.url === '/hook'))
  await writeFile(secretFile, ' \n')
  await assert.rejects(postEvents({ url, secretFile }, batch, parts), /is empty: it should hold the secret/)
  await assert.rejects(postEvents({ url, secretFile: `${secretFile}s` }, batch, parts), /ENOENT/)
})

test('nothing goes over https to a host that does not prove its name', async (t) => {
  const folder = await secretFolder(t)
  const secretFile = join(folder, 'key')
  const pem = await selfSignedCertificate('hooks.test')
  const tlsCa = join(folder, 'ca.pem')
  await writeFile(tlsCa, pem.cert)
  let requests = 0
  const server = createServer(pem, (_request, response) => {
    requests += 1
    response.writeHead(204).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const to = (host: string) => ({ url: `https://${host}:${port}/`, secretFile })
  await postEvents(to('hooks.test'), batch, { ...parts, tlsCa })
  await assert.rejects(postEvents(to('other.test'), batch, { ...parts, tlsCa }), /altnames|Hostname/)
  await assert.rejects(postEvents(to('hooks.test'), batch, parts), /self-signed/)
  await assert.rejects(postEvents(to('nobody.test'), batch, parts), /nobody\.test has no address/)
  assert.equal(requests, 1)
})
