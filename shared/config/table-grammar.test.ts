import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { loadConfiguration } from './load.ts'
import { defaultLibexec, libexecFolders } from './table-program.ts'

const folder = mkdtempSync(join(tmpdir(), 'table-grammar-'))
after(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'table-custom'), '#!/bin/sh\n')
chmodSync(join(folder, 'table-custom'), 0o755)
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
  const program = join(folder, 'table-custom')
  assert.deepEqual(await sourceOf('custom:/etc/mail/db.conf'), {
    kind: 'process',
    program,
    config: '/etc/mail/db.conf',
  })
  assert.deepEqual(await sourceOf('custom'), { kind: 'process', program })
})

test('a program that is not there, or may not be run, is told with the folders looked through', async () => {
  const message = (backend: string) => new RegExp(`no program table-${backend} in /nowhere, ${folder}`)
  await assert.rejects(load('other:/etc/other.conf'), message('other'))
  await assert.rejects(load('plain:/etc/plain.conf'), message('plain'))
  await assert.rejects(load('custom:db.conf'), /a path follows the colon/)
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
  await assert.rejects(load('custom', 'banned files <t>\n'), /needs all entries/)
})

const named: Readonly<Record<string, string>> = {
  aliases: 'root: joe\n',
  networks: '10.0.0.0/8 OK\n',
  expressions: '/^(.*)@a$/ $1@b\n',
  twice: 'a 1\nb 2\nA 3\n',
  lonely: 'a 1\nb\n',
  'db.conf': 'dbpath x\nquery select ?\n',
  'bad.conf': 'dbpath x\nqerry select 1\n',
  'secret.conf': 'password_file ./gone\nquery GET %s\n',
}
for (const [name, text] of Object.entries(named)) writeFileSync(join(folder, name), text)

test('the map types of Postfix are tables', async () => {
  const sourceOf = async (table: string) => (await load(table)).configuration.tables.get('t')?.source
  for (const type of ['hash', 'texthash', 'btree', 'lmdb', 'cdb', 'dbm', 'sdbm'])
    assert.deepEqual(await sourceOf(`${type}:${folder}/aliases`), {
      kind: 'file',
      path: join(folder, 'aliases'),
      format: 'postfix',
    })
  assert.deepEqual(await sourceOf(`cidr:./networks`), {
    kind: 'patterns',
    path: join(folder, 'networks'),
    format: 'cidr',
  })
  for (const format of ['regexp', 'pcre'])
    assert.deepEqual(await sourceOf(`${format}:./expressions`), {
      kind: 'patterns',
      path: join(folder, 'expressions'),
      format,
    })
  assert.deepEqual(await sourceOf('static:joe'), { kind: 'static', value: 'joe' })
  assert.deepEqual(await sourceOf('"static:{ /dev/null }"'), { kind: 'static', value: '/dev/null' })
  assert.deepEqual(await sourceOf(`static:${folder}/aliases`), { kind: 'file', path: join(folder, 'aliases') })
  const place = { kind: 'tcp', host: '127.0.0.1', port: 2000 }
  assert.deepEqual(await sourceOf('tcp:127.0.0.1:2000'), { kind: 'server', protocol: 'tcp', place })
  assert.deepEqual(await sourceOf('dovecot:/run/auth-userdb'), {
    kind: 'server',
    protocol: 'dovecot',
    place: { kind: 'unix', path: '/run/auth-userdb' },
  })
  const socketmap = { kind: 'server', protocol: 'socketmap', map: 'virt' }
  assert.deepEqual(await sourceOf('socketmap:inet:127.0.0.1:2000:virt'), { ...socketmap, place })
  assert.deepEqual(await sourceOf('socketmap:unix:/run/map:virt'), {
    ...socketmap,
    place: { kind: 'unix', path: '/run/map' },
  })
  assert.deepEqual(await sourceOf('"https://a.local/%t?key=%s"'), { kind: 'http', url: 'https://a.local/%t?key=%s' })
  assert.deepEqual(await sourceOf('sqlite:./db.conf'), {
    kind: 'backend',
    backend: 'sqlite',
    config: join(folder, 'db.conf'),
  })
  assert.deepEqual(await sourceOf('environ:MAIL_'), { kind: 'environment', prefix: 'MAIL_' })
})

test('what a table cannot be is told with what to write instead', async () => {
  for (const [table, message] of [
    ['hash:', /"hash:" names no file/],
    ['hash:./gone', /gone: there is no such file/],
    ['hash:./lonely', /lonely, line 2: "b" has no value/],
    ['cidr:./aliases', /line 1: "root:" is no network/],
    ['regexp:./networks', /line 1: an expression stands between two slashes/],
    ['environ:', /environ:MAIL_/],
    ['tcp:localhost', /does not say where its server listens/],
    ['dovecot:localhost:0', /dovecot:\/path\/of\/socket/],
    ['socketmap:inet:h:2000', /does not name a server and its map/],
    ['socketmap:unix:h:2000:m', /does not name a server and its map/],
    ['"http://joe:secret@h/"', /no password may stand/],
    ['"http:///x"', /is no address/],
    ['"http://h/x#y"', /behind "#"/],
    ['sqlite:./bad.conf', /bad\.conf, line 1: query is missing/],
    ['redis:./secret.conf', /secret\.conf, line 1: cannot read .*\/gone/],
    ['mysql:', /"mysql:" names no file/],
    ['ldap:./none.conf', /none\.conf: there is no such file/],
    ['static:', /has no value/],
    ['proxy:hash:/x', /leave "proxy:" away/],
    ['unix:passwd.byname', /passwd:\/etc\/passwd/],
    ['"inline:{a=b}"', /write the entries/],
    ['hsah:/x', /did you mean "hash:\/x"/],
    ['nonsense:/x', /use one of: file, passwd/],
  ] as const)
    await assert.rejects(load(table), message)
})

test('a key that is there twice is told with its line', async () => {
  for (const table of ['./twice', 'hash:./twice']) {
    const { warnings } = await load(`"${table}"`)
    assert.match(warnings.map(({ message }) => message).join(), /line 3 of the file: "a" is there already/)
  }
})

test('a table that can only be asked for a key is refused where its entries are used by turns', async () => {
  const relay = async (table: string, option: string) => {
    const smtpdConf = join(folder, 'turns.conf')
    writeFileSync(smtpdConf, `table t ${table}\naction "out" relay ${option} <t>\nmatch for any action "out"\n`)
    return loadConfiguration({ smtpdConf, hostname: 'mx.example.org' })
  }
  for (const table of ['tcp:127.0.0.1:2000', 'cidr:./networks', '"http://h/%s"'])
    for (const option of ['host', 'src']) await assert.rejects(relay(table, option), /by turns.*asked for a key/, table)
  await relay('sqlite:./db.conf', 'src')
  await relay('static:192.0.2.1', 'src')
  await relay('tcp:127.0.0.1:2000', 'auth').catch((error: unknown) => assert.doesNotMatch(String(error), /by turns/))
})
