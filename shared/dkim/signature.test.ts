import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseArcSignature, parseSignature } from './signature.ts'
import type { ParsedSignature, SignatureTags } from './signature.ts'

const tags = 'a=rsa-sha256; d=north.example; s=main; h=From; bh=YQ==; b=YQ=='

function tagsOf(parsed: ParsedSignature): SignatureTags {
  assert.equal(parsed.kind, 'signature', parsed.kind === 'void' ? parsed.reason : '')
  return (parsed as { readonly tags: SignatureTags }).tags
}

test('signatures of version 1 count, and of drafts that had another or none', () => {
  for (const version of ['v=1; ', 'v=0.5; ', ''])
    assert.equal(parseSignature(`DKIM-Signature: ${version}${tags}`).kind, 'signature', version)
  for (const version of ['v=2; ', 'v=; ', 'v=1.0; '])
    assert.equal(parseSignature(`DKIM-Signature: ${version}${tags}`).kind, 'void', version)
})

test('i= is read as it is written, in quoted-printable', () => {
  const identity = (text: string): string => tagsOf(parseSignature(`DKIM-Signature: v=1; ${tags}; i=${text}`)).identity
  assert.equal(identity('=6Aane@north.example'), 'jane@north.example')
  assert.equal(identity('jane@north=2Eexample'), 'jane@north.example')
  assert.equal(identity('ja\r\n\tne@north.example'), 'jane@north.example')
  assert.equal(identity('a=3Db=zz@north.example'), 'a=b=zz@north.example')
})

test('i= outside d= is found behind its quoted-printable', () => {
  const parsed = parseSignature(`DKIM-Signature: v=1; ${tags}; i=@north.example=2Eevil.example`)
  assert.equal(parsed.kind === 'void' && parsed.reason, 'i= is outside d=')
})

test('an ARC-Message-Signature without c= is simple, as one of DKIM', () => {
  const { header, body } = tagsOf(parseArcSignature(`ARC-Message-Signature: i=1; ${tags}`))
  assert.deepEqual([header, body], ['simple', 'simple'])
})
