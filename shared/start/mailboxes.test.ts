import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { addMailbox, changeMailbox, listMailboxes, removeMailbox } from './mailboxes.ts'
import { StartError } from './start-error.ts'

const folder = mkdtempSync(join(tmpdir(), 'mailboxes-'))
after(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'mailboxes')
const text = (): string => readFileSync(file, 'utf8')

test('mailboxes come, change their password and go, and what else stands in the file stays', async () => {
  writeFileSync(file, '# of the firm\npostmaster@example.org:{CRYPT}$6$p::::::\n')
  assert.equal(await addMailbox(file, 'Jane@Example.org', '$6$j'), 'jane@example.org')
  await changeMailbox(file, 'postmaster@example.org', '$6$q')
  assert.equal(text(), '# of the firm\npostmaster@example.org:{CRYPT}$6$q::::::\njane@example.org:{CRYPT}$6$j::::::\n')
  assert.deepEqual(await listMailboxes(file), ['postmaster@example.org', 'jane@example.org'])
  await removeMailbox(file, 'POSTMASTER@example.org')
  assert.equal(text(), '# of the firm\njane@example.org:{CRYPT}$6$j::::::\n')
})

test('nobody gets a second mailbox, or one that would lead elsewhere on disk or into another field', async () => {
  writeFileSync(file, 'jane@example.org:{CRYPT}$6$j::::::\n')
  const before = text()
  for (const address of [
    'JANE@example.org',
    'jane',
    '../joe@example.org',
    '"a:b"@example.org',
    '"a b"@x.org',
    'a@b\nc',
    '',
  ])
    await assert.rejects(addMailbox(file, address, '$6$x'), StartError, address)
  for (const change of [changeMailbox(file, 'joe@example.org', '$6$x'), removeMailbox(file, 'joe@example.org')])
    await assert.rejects(change, /there is no mailbox joe@example[.]org/)
  await assert.rejects(listMailboxes(join(folder, 'none')), /cannot read/)
  assert.equal(text(), before)
})

test('of several who change the file at once none takes the change of another back', async () => {
  writeFileSync(file, '')
  const names = Array.from({ length: 8 }, (_, index) => `jane${index}@example.org`)
  await Promise.all(names.map((name) => addMailbox(file, name, '$6$j')))
  assert.deepEqual((await listMailboxes(file)).toSorted(), names)
})
