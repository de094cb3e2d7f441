import assert from 'node:assert/strict'
import { test } from 'node:test'

import { checkPassword, isPasswordHash } from './check-password.ts'
import { hashPassword } from './hash-password.ts'
import { maxRounds, shaCrypt } from './sha-crypt.ts'
import { PasswordCheckError, createPasswordVerifier } from './verify-password.ts'

/** Made with `openssl passwd -5/-6` and perl's crypt (libxcrypt). */
const vectors = [
  [
    'Hello world!',
    '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
  ],
  ['Hello world!', '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'],
  [
    'a short string',
    '$6$rounds=1400$anotherlongsalts$SAu0xGXppllhPD9yNR32OgiJVhVXUbqF.y4UgOGG7d/nFYCFpaB43f5cW0d.q2OdGqPxRgXYYRc0Cg4uiz4PD/',
  ],
  ['x'.repeat(200), '$5$abc$1tyjgZdjCP/3YwuSn9x.5JSF6He6FyBxCfsk3eWbIs0'],
  ['', '$6$abc$mJP3a6FyA8uCnzRtlnNypPwjnvpi5TP9qOrInzrfDmwxUQG38PkpCPdqfTb8JQfAngapMxeim4AZ..hSdRRzD.'],
] as const

/** Cost 4, so that the test is quick. */
const bcryptHash = '$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW'

test('the SHA crypt hashes are those of crypt(3)', () => {
  for (const [password, hash] of vectors) assert.equal(shaCrypt(password, hash), hash)
})

test('a salt longer than 16 octets is cut as crypt(3) cuts it', () => {
  assert.equal(shaCrypt('x', '$6$saltstringsaltstring'), shaCrypt('x', '$6$saltstringsaltst'))
})

test('a hash that asks for a day of work is refused', () => {
  assert.throws(() => shaCrypt('x', `$6$rounds=${maxRounds + 1}$salt`), RangeError)
})

test('only the right password passes', () => {
  for (const [password, hash] of vectors) {
    assert.equal(checkPassword(password, hash), true)
    assert.equal(checkPassword(`${password}x`, hash), false)
  }
})

test('plain text, DES and MD5 crypt are not taken for hashes', () => {
  for (const text of ['secret', 'abJnggxhB/yWI', '$1$abc$BXBqpb9BZcZhXLgbee.0s/', '$2b$10$short', ''])
    assert.equal(isPasswordHash(text), false, text)
  assert.throws(() => checkPassword('secret', 'secret'), RangeError)
})

test('what sluicectl encrypt prints is accepted at the next login', async () => {
  for (const scheme of ['sha512', 'bcrypt', 'scram'] as const) {
    const hash = await hashPassword('correct horse', scheme)
    assert.ok(isPasswordHash(hash), hash)
    assert.equal(checkPassword('correct horse', hash), true)
    assert.equal(checkPassword('correct horsf', hash), false)
  }
})

test('bcrypt refuses a password it would cut silently', async () => {
  await assert.rejects(hashPassword('x'.repeat(73), 'bcrypt'), RangeError)
})

test('the worker thread verifies bcrypt and SHA crypt, and says when it cannot', async (t) => {
  const verifier = createPasswordVerifier()
  t.after(() => verifier.close())
  assert.equal(await verifier.verify('Hello world!', vectors[0][1]), true)
  assert.equal(await verifier.verify('hello world!', vectors[0][1]), false)
  assert.equal(await verifier.verify('secret', bcryptHash), true)
  assert.equal(await verifier.verify('wrong', bcryptHash), false)
  assert.equal(await verifier.verify('x'.repeat(2000), vectors[0][1]), false)
  await assert.rejects(verifier.verify('x', '$1$abc$def'), PasswordCheckError)
})

test('a flood of logins is refused, not queued for ever', async (t) => {
  const verifier = createPasswordVerifier({ maxWaiting: 1 })
  t.after(() => verifier.close())
  const first = verifier.verify('Hello world!', vectors[0][1])
  await assert.rejects(verifier.verify('Hello world!', vectors[1][1]), PasswordCheckError)
  assert.equal(await first, true)
})
