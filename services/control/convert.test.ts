import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { runControl } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'convert-'))
after(() => rmSync(folder, { recursive: true }))
const old = join(folder, 'old.conf')
writeFileSync(
  old,
  [
    '# ours',
    'listen on 127.0.0.1 port 2525',
    'accept tagged Filtered for any deliver to lmtp "/run/lmtp"',
    'accept from any for domain "x.org" relay via "smtp://localhost:10024"',
    'accept for any relay',
  ].join('\n'),
)

async function control(...args: readonly string[]) {
  const out: string[] = []
  const errors: string[] = []
  const code = await runControl(args, {
    terminal: {
      print: (line) => void out.push(line),
      warn: (line) => void errors.push(line),
      write: async () => {},
      paint: (_colour, text) => text,
      askSecret: async () => '',
    },
    environment: { SMTPD_HOSTNAME: 'mail.x.org' },
  })
  return { code, out: out.join('\n'), errors: errors.join('\n') }
}

test('convert prints the file in the modern grammar, and check takes both', async () => {
  const converted = await control('convert', old)
  assert.deepEqual([converted.code, converted.errors], [0, ''])
  assert.match(converted.out, /^# ours\nlisten on 127\.0\.0\.1 port 2525\naction "deliver" lmtp "\/run\/lmtp"\n/)
  const modern = join(folder, 'modern.conf')
  writeFileSync(modern, `${converted.out}\n`)
  for (const file of [old, modern]) {
    const checked = await control('check', file, '-d', folder)
    assert.equal(checked.code, 0, checked.errors)
  }
  assert.equal((await control('convert', modern)).code, 78)
  assert.equal((await control('convert', join(folder, 'nothing'))).code, 78)
})

test('explain follows a recipient through both queues of an old file', async () => {
  const { code, out } = await control(
    'explain',
    'joe@x.org',
    '-f',
    old,
    '-d',
    folder,
    '--src',
    '192.0.2.1',
    '--helo',
    'h',
  )
  assert.equal(code, 0)
  assert.match(out, /from 192\.0\.2\.1, no tag/)
  assert.match(out, /action "relay via 'smtp:\/\/localhost:10024'": queue "filter", comes back with tag Filtered/)
  assert.match(out, /action "deliver to lmtp '\/run\/lmtp'": delivered here/)
  const sent = await control('explain', 'bob@far.org', '-f', old, '-d', folder, '--src', '192.0.2.1', '--auth', 'joe')
  assert.match(sent.out, /action "relay": relayed to far\.org/)
  const named = await control('explain', '--rcpt', 'joe@x.org', '-f', old, '-d', folder, '--src', '192.0.2.1')
  assert.match(named.out, /^joe@x\.org, from 192\.0\.2\.1/)
  assert.equal((await control('explain', '-f', old, '-d', folder)).code, 2)
  assert.equal((await control('explain', 'a@x.org', '--rcpt', 'b@x.org', '-f', old, '-d', folder)).code, 2)
})
