import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { parseOperator } from '../../shared/config/operators.ts'
import { createPasswordVerifier } from '../../shared/crypt/verify-password.ts'
import { runTrimmed } from './testing.ts'

const folder = mkdtempSync(join(tmpdir(), 'operator-'))
after(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'operators')
const ctl = (...args: readonly string[]) => runTrimmed(args, { SLUICE_IDENTITY: folder })

/** As the dashboard reads them. */
function operator(name: string) {
  const line =
    readFileSync(file, 'utf8')
      .split('\n')
      .find((one) => one.startsWith(`${name} `)) ?? ''
  return parseOperator(line.slice(name.length + 1))
}

test('operators come with a role, get another password and go; the others stay as they are', async () => {
  const others = '# of the firm\nada   admin:$6$rounds=1000$abc$def\n'
  writeFileSync(file, others, { mode: 0o600 })
  const verifier = createPasswordVerifier()
  const [, first = ''] = (await ctl('operator', 'add', 'rita', '--role', 'reader')).out.split(/\s+/)
  assert.equal(operator('rita')?.role, 'reader')
  const [, second = ''] = (await ctl('operator', 'password', 'rita')).out.split(/\s+/)
  const { role, hash = '' } = operator('rita') ?? {}
  assert.deepEqual(
    [role, await verifier.verify(second, hash), await verifier.verify(first, hash)],
    ['reader', true, false],
  )
  await verifier.close()
  assert.equal((await ctl('operator', 'list')).out, 'ada\nrita')
  assert.equal((await ctl('operator', 'remove', 'rita')).code, 0)
  assert.equal(readFileSync(file, 'utf8'), others)
  assert.equal(statSync(file).mode & 0o077, 0)
})

test('who is there already, who is not, roles and names that are none are refused', async () => {
  writeFileSync(file, 'ada admin:$6$rounds=1000$abc$def\n')
  const rows: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [['add', 'ada'], /ada is there already: operator/],
    [['add', 'olga', '--role', 'queen'], /one of reader, operator, admin/],
    [['add', 'a b'], /cannot be the name of an operator/],
    [['add', '#a'], /cannot be the name/],
    [['password', 'olga'], /there is no operator olga/],
    [['remove', 'olga'], /there is no operator olga/],
  ]
  for (const [args, message] of rows) assert.match((await ctl('operator', ...args)).errors, message, args.join(' '))
})
