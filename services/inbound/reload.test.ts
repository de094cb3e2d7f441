import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import type { Filter, Listener } from '../../shared/config/model.ts'
import { freePorts } from '../../test/support/free-port.ts'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import { startInbound } from './testing.ts'

const base: Listener = {
  on: '127.0.0.1',
  port: 0,
  tls: 'none',
  verifyClient: false,
  pkis: [],
  auth: { kind: 'none' },
  maskSource: false,
  receivedAuth: false,
  noDsn: false,
  proxy: false,
  at: { file: 'smtpd.conf', line: 7, column: 1 },
}

const message = { from: 'a@example.net', to: ['jane@example.org'], content: 'Subject: x\r\n\r\nx\r\n' }

async function refusesConnections(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port })
  const opened = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false)
  socket.destroy()
  return !opened
}

test('an open session keeps the configuration it began with, on a door that stays', async (t) => {
  const inbound = await startInbound({ listener: { tag: 'Old' } })
  t.after(() => inbound.close())
  const old = await SmtpClient.ready({ port: inbound.port })
  const listeners = [{ ...base, tag: 'New', tls: 'offered' as const }]
  assert.equal((await inbound.reload({ revision: 'two', hostname: 'new.sluice.test', listeners })).kind, 'replaced')

  const fresh = await SmtpClient.ready({ port: inbound.port })
  const hello = await fresh.command('EHLO client.test')
  assert.match(hello.raw, /new\.sluice\.test[^]*STARTTLS/)
  assert.equal((await old.send(message)).code, 250)
  assert.equal((await fresh.send(message)).code, 250)
  assert.deepEqual(
    inbound.accepted.map(({ envelope }) => envelope.tags),
    [['Old'], ['New']],
  )
  await old.quit()
  await fresh.quit()
})

test('a listener that is gone lets nobody in, and its sessions end when they want', async (t) => {
  const [first, second] = (await freePorts(2)) as [number, number]
  const inbound = await startInbound({ listener: { port: first } })
  t.after(() => inbound.close())
  const client = await SmtpClient.ready({ port: first })
  await inbound.reload({ revision: 'two', listeners: [{ ...base, port: second }] })
  assert.ok(await refusesConnections(first))
  assert.equal((await client.send(message)).code, 250)
  const other = await SmtpClient.ready({ port: second })
  assert.equal((await other.send(message)).code, 250)
  await client.quit()
  await other.quit()
  await inbound.reload({ revision: 'three', listeners: [{ ...base, port: first }] })
  await (await SmtpClient.ready({ port: first })).quit()
})

test('a port that cannot be had refuses the whole reload', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.after(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const [free] = (await freePorts(1)) as [number]
  const inbound = await startInbound()
  t.after(() => inbound.close())
  const listeners = [
    { ...base, tag: 'New' },
    { ...base, port: free },
    { ...base, port },
  ]
  const result = await inbound.reload({ revision: 'two', listeners })
  assert.deepEqual(result, {
    kind: 'refused',
    revision: 'test',
    fault: `smtpd.conf:7: listen on 127.0.0.1 port ${port}: the address is in use by another program`,
  })
  assert.ok(await refusesConnections(free), 'what was opened for it is closed again')
  const client = await SmtpClient.ready({ port: inbound.port })
  await client.send(message)
  assert.deepEqual(inbound.accepted[0]?.envelope.tags, [])
  await client.quit()
})

test('closing waits for the sessions of every configuration', async () => {
  const [port] = (await freePorts(1)) as [number]
  const inbound = await startInbound({ listener: { port } })
  const clients = [await SmtpClient.ready({ port })]
  await inbound.reload({ revision: 'two', listeners: [{ ...base, port, tag: 'New' }] })
  clients.push(await SmtpClient.ready({ port }))
  await inbound.reload({ revision: 'three', listeners: [] })
  await inbound.close()
  for (const client of clients) assert.equal((await client.reply()).code, 421)
})

test('a filter process that is set up as before goes on, another one is started', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-reload-'))
  t.after(() => rm(folder, { recursive: true }))
  const script = fileURLToPath(new URL('../../shared/filter-host/testing-filter.ts', import.meta.url))
  const filter = (word: string): Filter => {
    const command = `${process.execPath} --import ${import.meta.resolve('tsx')} ${script} ${join(folder, word)} sound`
    return { kind: 'process', name: 'test', process: { name: 'test', command, at: base.at }, at: base.at }
  }
  const starts = async (word: string): Promise<number> =>
    (await readFile(join(folder, word), 'utf8')).split('config|ready').length - 1
  const inbound = await startInbound({ listener: { filters: [filter('one')] } })
  t.after(() => inbound.close())
  await inbound.reload({ revision: 'two', listeners: [{ ...base, tag: 'New', filters: [filter('one')] }] })
  assert.equal(await starts('one'), 1)
  const client = await SmtpClient.ready({ port: inbound.port })
  await inbound.reload({ revision: 'three', listeners: [{ ...base, filters: [filter('two')] }] })
  assert.deepEqual([await starts('one'), await starts('two')], [1, 1])
  assert.equal((await client.send(message)).code, 250)
  assert.match(inbound.accepted[0]?.message ?? '', /\[checked\]/)
  await client.quit()
})
