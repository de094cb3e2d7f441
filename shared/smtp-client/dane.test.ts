import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, test } from 'node:test'

import { fixture } from '../../test/support/fixtures.ts'
import type { TlsaRecord } from '../dns/tlsa.ts'
import { chainTrouble } from './dane.ts'
import { openConnection } from './open-connection.ts'
import { polite, startServer } from './testing.ts'

const closing: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closing) await close()
})

const pem = (name: string): string => readFileSync(fixture(`tls/${name}.pem`), 'utf8')
const server = new X509Certificate(pem('world'))
const authority = new X509Certificate(pem('world-ca'))
/** Has nothing to do with the two. */
const stranger = new X509Certificate(pem('ca'))
const chain = [server, authority]
const names = ['mx.enforced.test', 'enforced.test']
const nowAt = Date.UTC(2026, 0, 1)

function record(usage: number, selector: number, matching: number, certificate: X509Certificate): TlsaRecord {
  const octets = selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' })
  const digest = ['', 'sha256', 'sha512'][matching] ?? ''
  return { usage, selector, matching, data: digest === '' ? octets : createHash(digest).update(octets).digest() }
}

test('the server itself is known by certificate or key, whole or as a digest, whatever its names and dates', () => {
  for (const selector of [0, 1]) {
    for (const matching of [0, 1, 2]) {
      const demand = { records: [record(3, selector, matching, server)], names: ['other.test'] }
      assert.equal(chainTrouble([server], demand, Date.UTC(2300, 0, 1)), undefined, `3 ${selector} ${matching}`)
      const others = { records: [record(3, selector, matching, stranger)], names }
      assert.match(chainTrouble(chain, others, nowAt)?.message ?? '', /not the one of the TLSA records/)
    }
  }
})

test('one record that fits is enough', () => {
  const records = [record(3, 1, 1, stranger), record(2, 0, 1, stranger), record(3, 1, 1, server)]
  assert.equal(chainTrouble([server], { records, names: [] }, nowAt), undefined)
})

test('an authority vouches for a server of its chain, with the right name, in time', () => {
  for (const selector of [0, 1]) {
    for (const matching of [0, 1, 2]) {
      const records = [record(2, selector, matching, authority)]
      assert.equal(chainTrouble(chain, { records, names }, nowAt), undefined, `2 ${selector} ${matching}`)
      assert.match(chainTrouble(chain, { records, names: ['other.test'] }, nowAt)?.message ?? '', /not for other\.test/)
      assert.match(chainTrouble(chain, { records, names }, Date.UTC(2300, 0, 1))?.message ?? '', /out of date/)
      assert.match(chainTrouble([server, stranger], { records, names }, nowAt)?.message ?? 'none', /vouches|none/)
    }
  }
})

test('an authority that the server does not send must stand in the record itself', () => {
  assert.equal(chainTrouble([server], { records: [record(2, 0, 0, authority)], names }, nowAt), undefined)
  for (const given of [record(2, 0, 1, authority), record(2, 1, 0, authority), record(2, 0, 0, stranger)])
    assert.match(chainTrouble([server], { records: [given], names }, nowAt)?.message ?? '', /no authority/)
})

test('a certificate beside the chain vouches for nothing', () => {
  const records = [record(2, 0, 1, stranger)]
  assert.match(chainTrouble([server, stranger], { records, names }, nowAt)?.message ?? '', /no authority/)
  assert.match(chainTrouble([server, authority, stranger], { records, names }, nowAt)?.message ?? '', /no authority/)
  // The server's own certificate is no authority.
  assert.match(chainTrouble(chain, { records: [record(2, 0, 1, server)], names }, nowAt)?.message ?? '', /no authority/)
})

test('a session is opened with the server of the records only', async () => {
  const tls = { cert: pem('world') + pem('world-ca'), key: readFileSync(fixture('tls/world.key'), 'utf8') }
  const host = await startServer(polite([], { tls }))
  closing.push(() => host.close())
  const open = (records: readonly TlsaRecord[]) =>
    openConnection({
      endpoint: { kind: 'tcp', host: 'mx.enforced.test', address: '127.0.0.1', port: host.port },
      protocol: 'smtp',
      helo: 'client.test',
      tls: { mode: 'required', verify: false, dane: { records, names } },
    })
  for (const records of [[record(3, 1, 1, server)], [record(2, 0, 1, authority)]]) {
    const connection = await open(records)
    assert.ok(connection.secured)
    await connection.close()
  }
  await assert.rejects(open([record(3, 1, 1, stranger)]), /^OpenError: 451 4\.7\.5 .*not the one of the TLSA records/)
  await assert.rejects(open([record(2, 1, 1, stranger)]), /no authority of the TLSA records/)
})

test('a certificate without a subject that is out of date is told', () => {
  const nameless = new X509Certificate(pem('nameless'))
  const demand = { records: [record(2, 0, 0, nameless)], names }
  assert.equal(
    chainTrouble([nameless], demand, Date.UTC(2300, 0, 1))?.message,
    'the certificate of nobody is out of date',
  )
})
