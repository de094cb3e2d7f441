import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { runTrimmed } from './testing.ts'

const folder = mkdtempSync(join(tmpdir(), 'table-'))
after(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'aliases'), 'root: joe,\n  ann\n')
writeFileSync(join(folder, 'moved'), '/^(.*)@old\\.org$/ $1@new.org\n')

const control = (...args: readonly string[]) =>
  runTrimmed([...args, '-f', join(folder, 'smtpd.conf'), '-d', folder], {
    SMTPD_HOSTNAME: 'mail.x.org',
    MAIL_JOE: 'ann',
  })

/** Knows `joe`, and ends the connection when it is asked for `broken`. */
async function tcpServer(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (said) => {
      const key = said.toString().trim()
      if (key === 'get broken') socket.destroy()
      else socket.write(key === 'get joe' ? '200 ann\n' : '500 no\n')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { port, close: () => new Promise((resolve) => server.close(() => resolve())) }
}

function write(port: number): void {
  const lines = [
    'table aliases hash:./aliases',
    'table moved pcre:./moved',
    'table domains { a.org, "*.b.org" }',
    'table networks { 10.0.0.0/8 }',
    'table forwards environ:MAIL_',
    `table remote tcp:127.0.0.1:${port}`,
    'action "out" relay',
    'match for any action "out"',
  ]
  writeFileSync(join(folder, 'smtpd.conf'), `${lines.join('\n')}\n`)
  chmodSync(folder, 0o755)
}

test('table query says what mail would find', async (t) => {
  const server = await tcpServer()
  t.after(() => server.close())
  write(server.port)
  const answers: readonly (readonly [args: readonly string[], code: number, out: string])[] = [
    [['aliases', 'ROOT'], 0, 'joe, ann'],
    [['aliases', 'nobody'], 1, ''],
    [['moved', 'Joe@old.org'], 0, 'Joe@new.org'],
    [['domains', 'a.org'], 0, 'a.org'],
    [['domains', 'x.b.org'], 1, ''],
    [['domains', 'x.b.org', '--service', 'domain'], 0, 'x.b.org'],
    [['networks', '10.1.2.3', '--service', 'netaddr'], 0, '10.1.2.3'],
    [['forwards', 'joe'], 0, 'ann'],
    [['remote', 'joe'], 0, 'ann'],
    [['remote', 'eve'], 1, ''],
  ]
  for (const [args, code, out] of answers) {
    const answer = await control('table', 'query', ...args)
    assert.deepEqual([answer.code, answer.out], [code, out], args.join(' '))
  }
  const json = await control('table', 'query', 'aliases', 'root', '--json')
  assert.deepEqual(JSON.parse(json.out), { table: 'aliases', key: 'root', found: true, value: 'joe, ann' })
})

test('what cannot be asked is told, and is not "not found"', async (t) => {
  const server = await tcpServer()
  t.after(() => server.close())
  write(server.port)
  const broken = await control('table', 'query', 'remote', 'broken')
  assert.deepEqual([broken.code, broken.out], [75, ''])
  assert.match(broken.errors, /table "remote": it closed the connection|ECONNRESET/)
  assert.match((await control('table', 'query', 'alias', 'x')).errors, /no table "alias"; one of: aliases, moved/)
  assert.equal((await control('table', 'query', 'aliases', 'x', '--service', 'users')).code, 2)
})

test('table check tells how each table is', async () => {
  const server = await tcpServer()
  write(server.port)
  const well = await control('table', 'check')
  assert.equal(well.code, 0, well.errors)
  assert.match(well.out, /^aliases +postfix:\S+\/aliases +1 entry$/m)
  assert.match(well.out, /^remote +tcp +answers$/m)
  await server.close()
  const away = await control('table', 'check', 'remote')
  assert.equal(away.code, 1)
  assert.match(away.out, /^remote +tcp +table "remote": .*ECONNREFUSED/)
  assert.equal((await control('table', 'check', 'aliases')).code, 0)
})
