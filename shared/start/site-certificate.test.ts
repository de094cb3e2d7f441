import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { selfSignedCertificate } from './self-signed.ts'
import { putSiteCertificate } from './site-certificate.ts'
import { StartError } from './start-error.ts'

const folder = mkdtempSync(join(tmpdir(), 'site-certificate-'))
after(() => rmSync(folder, { recursive: true }))
const [one, other] = await Promise.all([
  selfSignedCertificate('mail.example.org'),
  selfSignedCertificate('mail.example.net'),
])
const now = { hostname: 'mail.example.org', nowAt: Date.now() }
const fileOf = (name: string): string => readFileSync(join(folder, 'tls', name), 'utf8')

test('a certificate and its key take the place of others, in whatever order they come, and what is odd is told', async () => {
  const put = await putSiteCertificate(folder, `# mine\n${one.key}\n${one.cert}\n${other.cert}`, now)
  assert.deepEqual([put.names.includes('mail.example.org'), put.warnings], [true, []])
  assert.equal(fileOf('cert.pem'), `${one.cert.trim()}\n${other.cert.trim()}\n`)
  assert.equal(fileOf('key.pem').trim(), one.key.trim())
  assert.equal(statSync(join(folder, 'tls/key.pem')).mode & 0o077, 0)
  const { warnings } = await putSiteCertificate(folder, other.cert + other.key, now)
  assert.deepEqual(warnings, ['it is not for mail.example.org, as this host is called', 'it is signed by itself'])
})

test('what does not belong together, is over or cannot be read changes nothing', async () => {
  await putSiteCertificate(folder, one.cert + one.key, now)
  const years = 20 * 366 * 86_400_000
  const rows: readonly (readonly [pem: string, message: RegExp, nowAt?: number])[] = [
    ['', /found 0 and 0/],
    [one.cert, /found 1 and 0/],
    [one.key, /found 0 and 1/],
    [one.cert + one.key + other.key, /found 1 and 2/],
    [one.cert + other.key, /not that of the first/],
    [one.cert + one.key, /is over since/, now.nowAt + years],
    [one.cert.replaceAll('M', 'A') + one.key, /first certificate cannot be read/],
    [one.cert + one.key.replaceAll('M', 'A'), /key cannot be read/],
  ]
  for (const [pem, message, nowAt = now.nowAt] of rows)
    await assert.rejects(
      putSiteCertificate(folder, pem, { ...now, nowAt }),
      (error) => error instanceof StartError && message.test(error.message),
      message.source,
    )
  assert.equal(fileOf('cert.pem').trim(), one.cert.trim())
})
