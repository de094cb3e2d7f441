import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_CIPHERS } from 'node:tls'

import { ciphersFor, parseCiphers, parseTlsProtocols, tlsVersions, versionsKeptOut } from './tls-words.ts'
import type { TlsVersion } from './tls-words.ts'

test('protocols: what is written is spoken, nothing older than the minimum', () => {
  const cases: readonly (readonly [text: string | undefined, minimum: TlsVersion, versions: string])[] = [
    [undefined, 'TLSv1.2', '1.2-'],
    ['secure', 'TLSv1.2', '1.2-'],
    ['TLSv1.2,TLSv1.3', 'TLSv1.2', '1.2-'],
    ['tlsv1.3', 'TLSv1.2', '1.3-'],
    ['TLSv1.2', 'TLSv1.2', '1.2-1.2'],
    ['all:!tlsv1.3', 'TLSv1.2', '1.2-1.2'],
    ['!tlsv1.2', 'TLSv1.2', '1.3-'],
    ['TLSv1.2', 'TLSv1.3', 'none'],
    ['TLSv1.2,TLSv1.3', 'TLSv1.3', '1.3-'],
    ['TLSv1.1', 'TLSv1.2', 'none'],
    ['TLSv1.1,TLSv1.2', 'TLSv1.2', '1.2-1.2'],
    ['all', 'TLSv1.2', '1.2-'],
    [undefined, 'TLSv1', '1-'],
    ['all', 'TLSv1.1', '1.1-'],
    ['secure', 'TLSv1.1', '1.2-'],
    ['TLSv1.0,TLSv1.1', 'TLSv1', '1-1.1'],
    ['TLSv1.1,TLSv1.3', 'TLSv1.1', '1.3-'],
  ]
  for (const [text, minimum, expected] of cases) {
    const found = tlsVersions(text, minimum)
    const shown = found === undefined ? 'none' : `${found.minVersion.slice(4)}-${found.maxVersion?.slice(4) ?? ''}`
    assert.equal(shown, expected, `${text} ${minimum}`)
  }
  assert.equal(parseTlsProtocols('SSLv3'), undefined)
  assert.deepEqual(versionsKeptOut('TLSv1.0, TLSv1.1, TLSv1.2', 'TLSv1.1'), ['TLSv1'])
  assert.deepEqual(versionsKeptOut('all:!tlsv1.0', 'TLSv1.2'), [])
  assert.equal(ciphersFor('TLSv1.2', undefined), undefined)
  assert.equal(ciphersFor('TLSv1.1', 'HIGH'), 'HIGH:@SECLEVEL=0')
})

test('ciphers: OpenSSL lists as they are, words of libtls by their list, nonsense is a fault', () => {
  assert.equal(parseCiphers('HIGH:!aNULL:!MD5'), 'HIGH:!aNULL:!MD5')
  assert.equal(parseCiphers('secure'), DEFAULT_CIPHERS)
  assert.equal(parseCiphers('compat'), 'HIGH:!aNULL')
  assert.equal(parseCiphers('NO-SUCH-CIPHER'), undefined)
})
