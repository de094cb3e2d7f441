import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { dkimRecord } from './dns-record.ts'
import { generateKey } from './generate-key.ts'
import { parseKeyRecord } from './public-key.ts'

let folder = ''
before(async () => void (folder = await mkdtemp(join(tmpdir(), 'dkim-key-'))))
after(() => rm(folder, { recursive: true, force: true }))

for (const type of ['rsa', 'ed25519'] as const) {
  test(`a new ${type} key is for its owner's eyes only, and its record publishes it`, async () => {
    const file = join(folder, 'new', `${type}.pem`)
    const pem = await generateKey(file, type)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.equal(await readFile(file, 'utf8'), pem)
    const record = dkimRecord(pem, 'main', 'example.org')
    assert.equal(record.name, 'main._domainkey.example.org')
    const key = parseKeyRecord(record.value)
    assert.equal(key.kind === 'key' && key.type, type)
    const strings = [...record.zoneLine.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? '')
    assert.equal(strings.join(''), record.value)
    assert.ok(strings.every((text) => text.length <= 255))
  })
}

test('a key that is there is never overwritten', async () => {
  const file = join(folder, 'kept.pem')
  const pem = await generateKey(file, 'ed25519')
  await assert.rejects(generateKey(file, 'ed25519'), { code: 'EEXIST' })
  assert.equal(await readFile(file, 'utf8'), pem)
})
