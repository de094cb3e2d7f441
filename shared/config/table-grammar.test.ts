import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { loadConfiguration } from './load.ts'
import { defaultLibexec, libexecFolders } from './table-program.ts'

const folder = mkdtempSync(join(tmpdir(), 'table-grammar-'))
after(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'table-sqlite'), '#!/bin/sh\n')
chmodSync(join(folder, 'table-sqlite'), 0o755)
writeFileSync(join(folder, 'table-plain'), '')
writeFileSync(join(folder, 'aliases'), 'root: joe\n')

const rules = 'action "out" relay\nmatch for any action "out"\n'

async function load(table: string, pipeline = '') {
  const smtpdConf = join(folder, 'smtpd.conf')
  const pipelineConf = join(folder, 'pipeline.conf')
  writeFileSync(smtpdConf, `table t ${table}\n${rules}`)
  writeFileSync(pipelineConf, pipeline)
  return loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mx.example.org', libexec: ['/nowhere', folder] })
}

test('a backend that is a program is found in the folders of such programs, and told its path', async () => {
  const sourceOf = async (table: string) => (await load(table)).configuration.tables.get('t')?.source
  const program = join(folder, 'table-sqlite')
  assert.deepEqual(await sourceOf('sqlite:/etc/mail/db.conf'), {
    kind: 'process',
    program,
    config: '/etc/mail/db.conf',
  })
  assert.deepEqual(await sourceOf('sqlite'), { kind: 'process', program })
})

test('a program that is not there, or may not be run, is told with the folders looked through', async () => {
  const message = (backend: string) => new RegExp(`no program table-${backend} in /nowhere, ${folder}`)
  await assert.rejects(load('ldap:/etc/ldap.conf'), message('ldap'))
  await assert.rejects(load('plain:/etc/plain.conf'), message('plain'))
  await assert.rejects(load('sqlite:db.conf'), /a path follows the colon/)
})

test('a db: table is read from the text it was made of, or refused with what to do', async () => {
  const { configuration } = await load(`db:${folder}/aliases.db`)
  assert.deepEqual(configuration.tables.get('t')?.source, { kind: 'file', path: join(folder, 'aliases') })
  await assert.rejects(load(`db:${folder}/other.db`), /read from .*\/other, which is not there/)
  await assert.rejects(load(`db:${folder}/aliases`), /read from the text it was made of/)
})

test('SMTPD_LIBEXEC takes the place of the usual folders', () => {
  assert.deepEqual(libexecFolders('/a:/b:c:'), ['/a', '/b'])
  assert.deepEqual(libexecFolders(''), defaultLibexec)
})

test('a list that is needed as a whole cannot come from a program', async () => {
  await assert.rejects(load('sqlite', 'banned files <t>\n'), /needs all entries/)
})
