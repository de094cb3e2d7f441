import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { hostileMessages } from './testing-hostile.ts'

interface Judged {
  readonly name?: string
  readonly kind?: string
  readonly verdict?: string
  readonly reason?: string
  readonly maxRssMb?: number
}

/** What must become of them; all others are only judged. */
const expected: Readonly<Record<string, RegExp>> = {
  gtube: /^pass junk spam score/,
  'exe in zip': /^hold quarantine banned: type application\/x-dosexec in a\.zip$/,
  'macros, new form': /^hold quarantine banned: type application\/vnd\.ms-office\.vbaproject in a\.docm$/,
  'macros, old form': /^hold quarantine banned: type application\/vnd\.ms-office\.vbaproject in a\.xls$/,
  'encrypted zip': /^hold quarantine banned: encrypted: a\.txt in a\.zip$/,
  'zip bomb': /^hold quarantine banned: limit: unpacks to more than 250 times its size$/,
  '10000 parts': /^hold quarantine banned: limit: more than 10000 parts$/,
  '20000 deep': /^hold quarantine banned: limit: parts more than 100 deep$/,
}

test('every hostile message gets a verdict or a named limit, and no more than 512 MB are in use', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'hostile-'))
  t.after(() => rm(folder, { recursive: true }))
  const [mail, data] = [join(folder, 'mail'), join(folder, 'data')]
  await mkdir(mail)
  await mkdir(data)
  for (const [name, make] of Object.entries(hostileMessages)) await writeFile(join(mail, name), make())
  const script = join(import.meta.dirname, 'hostile.child.ts')
  const args = ['--max-old-space-size=256', '--import', 'tsx', script, mail, data]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 300_000 })
  const judged = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Judged)
  const last = judged.pop()
  assert.deepEqual(new Set(judged.map(({ name }) => name)), new Set(Object.keys(hostileMessages)))
  for (const { name = '', kind, verdict, reason } of judged) {
    assert.match(
      `${kind} ${verdict} ${reason ?? ''}`.trim(),
      expected[name] ?? /^(?:pass (?:clean|junk)|hold quarantine)/,
      name,
    )
    assert.ok(kind !== 'reject', `${name} would be tried again and again`)
  }
  assert.ok((last?.maxRssMb ?? Infinity) < 512, `${last?.maxRssMb} MB`)
})
