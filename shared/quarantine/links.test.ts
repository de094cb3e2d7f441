import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import fc from 'fast-check'

import { newMessageId } from '../mail/message-id.ts'
import { createLinkSigner, linkActions, readLinkKey } from './links.ts'

const nowAt = Date.UTC(2026, 10, 21, 12)
const id = newMessageId(nowAt)
const signer = createLinkSigner(Buffer.alloc(32, 1))

test('a link says what was signed, for as long as it is good', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 100_000 }),
      fc.constantFrom(...linkActions),
      fc.nat({ max: 3_000_000 }),
      (recipient, action, s) => {
        const link = { id, recipient, action, expiresAt: nowAt + s * 1000 + 1000 }
        assert.deepEqual(signer.verify(signer.sign(link), nowAt), link)
        assert.equal(signer.verify(signer.sign(link), link.expiresAt), undefined)
        assert.equal(createLinkSigner(Buffer.alloc(32, 2)).verify(signer.sign(link), nowAt), undefined)
      },
    ),
  )
})

test('no change of a link makes another one, and nothing else is one', () => {
  const good = signer.sign({ id, recipient: 3, action: 'release', expiresAt: nowAt + 86_400_000 })
  assert.ok(good.length < 120 && /^[\w.-]+$/.test(good))
  for (let place = 0; place < good.length; place += 1) {
    for (const character of ['0', '1', 'z', 'A', '.', '-']) {
      const changed = good.slice(0, place) + character + good.slice(place + 1)
      if (changed !== good) assert.equal(signer.verify(changed, nowAt), undefined, changed)
    }
  }
  fc.assert(fc.property(fc.string(), (text) => assert.equal(signer.verify(text, nowAt), undefined)))
})

test('all processes of a data folder have the same key, which nobody else can read', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'links-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const keys = await Promise.all(Array.from({ length: 8 }, () => readLinkKey(folder)))
  assert.equal(new Set(keys.map((key) => key.toString('hex'))).size, 1)
  assert.equal(keys[0]?.length, 32)
  assert.equal(statSync(join(folder, 'quarantine/link.key')).mode & 0o777, 0o600)
})
