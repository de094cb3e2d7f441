import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { parse } from 'yaml'

import { createPasswordVerifier } from '../../shared/crypt/verify-password.ts'
import { root } from '../support/fixtures.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { answerOf } from './manners.ts'
import { sampleAt, sampleKinds } from './samples.ts'
import { sendSample } from './send-sample.ts'

const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')
const samples = Array.from({ length: sampleKinds }, (_one, number) => sampleAt(number, 0))

interface ComposeFile {
  readonly services: Readonly<Record<string, { readonly networks?: unknown; readonly ports?: readonly string[] }>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
}

test('nothing of the demonstration but the door is on a network that leads out, and the door is open to this host only', () => {
  const overlay = parse(textOf('deploy/demo/overlay.yml'), { merge: true, logLevel: 'error' }) as ComposeFile
  const base = parse(textOf('docker-compose.yml'), { merge: true }) as ComposeFile
  const networks = { ...base.networks, ...overlay.networks }
  const open = Object.keys(networks).filter((name) => networks[name]?.internal !== true)
  assert.deepEqual(open, ['host'])
  for (const [name, { networks: joined = [], ports = [] }] of Object.entries(overlay.services)) {
    const names = Array.isArray(joined) ? joined : Object.keys(joined as object)
    assert.equal(names.includes('host'), name === 'door', name)
    if (name !== 'door') assert.deepEqual(ports, [], name)
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:/)
  }
  for (const [name, { ports }] of Object.entries(base.services))
    if (ports !== undefined && !isOptional(name)) assert.deepEqual(overlay.services[name]?.ports, [], name)
})

/** Has a profile of its own, and is started by who asks for it. */
function isOptional(name: string): boolean {
  const { services } = parse(textOf('docker-compose.yml'), { merge: true }) as {
    readonly services: Readonly<Record<string, { readonly profiles?: readonly string[] }>>
  }
  return services[name]?.profiles !== undefined
}

test('each domain that samples come from or go to is one of the DNS of the demonstration', () => {
  const zone = textOf('deploy/demo/unbound.conf')
  for (const { from, to } of samples) {
    for (const address of [from, to]) {
      const domain = address.slice(address.indexOf('@') + 1)
      assert.match(zone, new RegExp(`local-data: ['"]${domain.replaceAll('.', '[.]')}[.] MX `), address)
    }
  }
})

test('who signs in knows the password that the texts tell', async () => {
  const verifier = createPasswordVerifier()
  const [, operator = ''] = /demo = "admin:([^"]+)"/.exec(textOf('deploy/demo/pipeline.conf')) ?? []
  assert.ok(await verifier.verify('demo', operator))
  for (const line of textOf('deploy/demo/mailboxes').trim().split('\n')) {
    assert.match(line, /^[a-z]+@demo[.]example:[{]CRYPT[}][^:]+::::::$/)
    assert.ok(await verifier.verify('demo', line.replace(/^[^}]+[}]|:+$/g, '')))
  }
  await verifier.close()
})

test('samples are proper messages: each line ends in CR LF, none is too long, and Message-IDs differ', () => {
  for (const { what, content } of samples) {
    assert.doesNotMatch(content.replaceAll('\r\n', ''), /[\r\n]/, what)
    assert.ok(
      content.split('\r\n').every((line) => line.length <= 998),
      what,
    )
  }
  const ids = Array.from(
    { length: 100 },
    (_one, number) => /^Message-ID: (.*)$/m.exec(sampleAt(number, 7).content)?.[1],
  )
  assert.equal(new Set(ids).size, 100)
})

test('servers of the demonstration take, refuse and put off by the domain they are asked for, and remember nothing', async () => {
  const sink = await startMailSink({ respond: answerOf, keep: 'nothing' })
  const target = { host: '127.0.0.1', port: sink.port, submissionPort: 0 }
  const ask = (to: string): Promise<string> =>
    sendSample({ what: '', from: 'a@x.example', to, content: 'A: b\r\n\r\n' }, target)
  assert.match(await ask('anna@partner.example'), /^250 /)
  assert.match(await ask('ghost@strict.example'), /^550 5\.1\.1/)
  assert.match(await ask('ben@cautious.example'), /^450 4\.2\.0/)
  assert.match(await ask('ben@cautious.example'), /^250 /)
  assert.deepEqual([sink.messages.length, sink.commands.length, sink.copies.size], [0, 0, 0], 'it runs for days')
  await sink.stop()
})
