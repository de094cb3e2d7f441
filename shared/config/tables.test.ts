import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import type { Table } from './model.ts'
import { parsePasswdFile, parseTableFile, TableFormatError } from './table-file.ts'
import { openTables, TableError } from './tables.ts'

const folder = mkdtempSync(join(tmpdir(), 'tables-'))
after(() => rmSync(folder, { recursive: true }))
const at = { file: 'smtpd.conf', line: 1, column: 1 }

function list(...entries: readonly string[]): Table {
  return { name: 't', source: { kind: 'inline', list: entries }, at }
}

function map(entries: Readonly<Record<string, string>>): Table {
  return { name: 't', source: { kind: 'inline', map: new Map(Object.entries(entries)) }, at }
}

function file(name: string, text: string, format?: 'passwd'): Table {
  const path = join(folder, name)
  writeFileSync(path, text)
  return { name, source: { kind: 'file', path, ...(format === undefined ? {} : { format }) }, at }
}

test('the first entry of a file decides whether it is a list or a map', () => {
  assert.deepEqual(parseTableFile('# users\n\n Joe \nann\n'), { kind: 'list', list: ['Joe', 'ann'] })
  assert.deepEqual(parseTableFile('Root: joe, Ann\nann\tx y \n'), {
    kind: 'map',
    map: new Map([
      ['root', 'joe, Ann'],
      ['ann', 'x y'],
    ]),
  })
  assert.deepEqual(parseTableFile('# @list\n2001:db8::/32\n'), { kind: 'list', list: ['2001:db8::/32'] })
  assert.deepEqual(parseTableFile('[2001:db8::1] mx.org\n'), {
    kind: 'map',
    map: new Map([['[2001:db8::1]', 'mx.org']]),
  })
  assert.deepEqual(parseTableFile('\n# nothing\n'), { kind: 'map', map: new Map() })
  assert.throws(
    () => parseTableFile('a b\nc\n'),
    (error) => error instanceof TableFormatError && error.line === 2,
  )
  assert.throws(() => parsePasswdFile('joe\n'), TableFormatError)
})

test('entries are compared as their use demands', () => {
  const tables = openTables()
  assert.ok(tables.matchesDomain(list('a.org', '*.b.org'), 'X.B.ORG'))
  assert.ok(!tables.matchesDomain(list('a.org', '*.b.org'), 'b.org'))
  assert.ok(tables.matchesAddress(list('192.0.2.0/24', '[2001:db8::/32]'), '2001:db8::7'))
  assert.ok(!tables.matchesAddress(list('192.0.2.0/24'), '::ffff:192.0.2.1'))
  assert.ok(tables.matchesMailbox(list('joe@', '@a.org'), 'JOE+lists@b.org'))
  assert.ok(tables.matchesMailbox(list('@'), '@') && !tables.matchesMailbox(list('@a.org'), '@'))
  assert.ok(tables.contains(list('Filtered'), 'filtered'))
  assert.ok(tables.matchesExpression(list('^mx[0-9]+\\.', '\\.dyn\\.'), 'MX7.example.org'))
  assert.equal(tables.lookup(map({ Root: 'joe' }), 'root'), 'joe')
})

test('the delimiter of sub-addresses is the one configured', () => {
  const tables = openTables({ delimiter: '-' })
  assert.ok(tables.matchesMailbox(list('joe@a.org'), 'joe-x@a.org'))
  assert.ok(!tables.matchesMailbox(list('joe@a.org'), 'joe+x@a.org'))
})

test('credentials, relay logins and users are read from their tables', () => {
  const tables = openTables()
  assert.equal(tables.passwordHash(map({ joe: '$2b$10$x' }), 'JOE'), '$2b$10$x')
  assert.deepEqual(tables.relayLogin(map({ l: 'u:p:w' }), 'l'), { user: 'u', password: 'p:w' })
  assert.deepEqual(tables.userInfo(map({ joe: '1000:100:/home/joe' }), 'joe'), {
    uid: 1000,
    gid: 100,
    home: '/home/joe',
  })
  const passwd = file('passwd', 'joe:$6$x:1000:100:Joe:/home/joe:/bin/sh\n', 'passwd')
  assert.equal(tables.passwordHash(passwd, 'joe'), '$6$x')
  assert.deepEqual(tables.userInfo(passwd, 'joe'), { uid: 1000, gid: 100, home: '/home/joe' })
})

test('a changed file is in force within a second, a broken one changes nothing', () => {
  let clock = 0
  const warnings: string[] = []
  const tables = openTables({ now: () => clock, onWarning: (message) => warnings.push(message) })
  const table = file('aliases', 'root joe\n')
  assert.equal(tables.lookup(table, 'root'), 'joe')
  file('aliases', 'root annabel\n')
  assert.equal(tables.lookup(table, 'root'), 'joe')
  clock += 1000
  assert.equal(tables.lookup(table, 'root'), 'annabel')
  file('aliases', 'root annabel\nlonely\n')
  clock += 1000
  assert.equal(tables.lookup(table, 'root'), 'annabel')
  rmSync(join(folder, 'aliases'))
  tables.refresh()
  assert.equal(tables.lookup(table, 'root'), 'annabel')
  assert.equal(warnings.length, 2)
})

test('a file that cannot be read at all is a temporary failure, not an empty table', () => {
  const missing: Table = { name: 'gone', source: { kind: 'file', path: join(folder, 'gone') }, at }
  assert.throws(() => openTables().lookup(missing, 'a'), TableError)
})

test('a table with patterns compares by itself, whatever it is used for', () => {
  const path = join(folder, 'patterns')
  writeFileSync(path, '/^(.*)@old\\.org$/ $1@new.org\n/\\.org$/ OK\n')
  const table: Table = { name: 'p', source: { kind: 'patterns', path, format: 'pcre' }, at }
  const tables = openTables()
  assert.equal(tables.lookup(table, 'Joe@old.org'), 'Joe@new.org')
  assert.ok(tables.matchesDomain(table, 'a.org') && !tables.matchesDomain(table, 'a.net'))
  assert.ok(tables.matchesMailbox(table, 'joe@a.org') && tables.contains(table, 'x.org'))
  assert.equal(tables.lookup(table, 'joe@old.org\nx.org'), undefined)
  assert.throws(() => tables.entries(table), TableError)
})

test('a table with networks is one for addresses; a broken new content changes nothing', () => {
  let clock = 0
  const warnings: string[] = []
  const path = join(folder, 'networks')
  writeFileSync(path, '192.0.2.0/24 OK\n')
  const table: Table = { name: 'n', source: { kind: 'patterns', path, format: 'cidr' }, at }
  const tables = openTables({ now: () => clock, onWarning: (message) => warnings.push(message) })
  assert.ok(tables.matchesAddress(table, '192.0.2.9') && !tables.matchesAddress(table, '192.0.3.9'))
  writeFileSync(path, '192.0.3.0/24 OK\nnonsense here\n')
  clock += 1000
  assert.ok(tables.matchesAddress(table, '192.0.2.9'))
  assert.match(warnings.join(), /"nonsense" is no network; the content read before stays/)
})

test('the static table gives its value for every key', () => {
  const table: Table = { name: 's', source: { kind: 'static', value: 'catch@all.org' }, at }
  const tables = openTables()
  assert.equal(tables.lookup(table, 'anybody'), 'catch@all.org')
  assert.deepEqual(tables.entries(table), ['catch@all.org'])
  assert.ok(tables.contains(table, 'anybody'))
})

test('a table of the environment holds what begins with its prefix, and nothing else', () => {
  const table: Table = { name: 'e', source: { kind: 'environment', prefix: 'MAIL_' }, at }
  const tables = openTables({ environment: { MAIL_JOE: 'Ann@a.org', SECRET: 'x' } })
  assert.equal(tables.lookup(table, 'Joe'), 'Ann@a.org')
  assert.equal(tables.lookup(table, 'secret'), undefined)
  assert.deepEqual(tables.entries(table), ['joe'])
})

test('one file may be read in several formats', () => {
  const path = join(folder, 'shared')
  writeFileSync(path, 'joe:x\n')
  const tables = openTables()
  const read = (format: 'passwd' | 'postfix') =>
    tables.lookup({ name: format, source: { kind: 'file', path, format }, at }, 'joe')
  assert.deepEqual([read('passwd'), read('postfix')], ['x', 'x'])
})

test('an internationalised domain is the same in both its forms, in lists, patterns, maps and files', () => {
  const tables = openTables()
  assert.ok(tables.matchesDomain(list('exämple.org', '*.bücher.test'), 'xn--exmple-cua.org'))
  assert.ok(tables.matchesDomain(list('*.bücher.test'), 'a.xn--bcher-kva.test'))
  assert.ok(tables.matchesMailbox(list('@EXÄMPLE.org'), 'joe@xn--exmple-cua.org'))
  assert.ok(tables.matchesMailbox(list('jo\u0308rg@exämple.org'), 'jörg@xn--exmple-cua.org'))
  assert.equal(tables.lookup(map({ '@exämple.org': 'joe' }), '@xn--exmple-cua.org'), 'joe')
  assert.equal(tables.lookup(file('idn', 'Jörg@exämple.org joe\n'), 'jörg@xn--exmple-cua.org'), 'joe')
})
