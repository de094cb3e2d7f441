import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { keyTemplate } from './key-template.ts'
import { parseSqlQuery, SqlQueryError, valuesOf } from './sql-query.ts'
import { readBackend } from './table-backend.ts'
import type { BackendKind } from './table-backend.ts'
import { TableFormatError } from './table-file.ts'

/** Reads `text` as the settings of a backend; `/etc/secret` and `/etc/ca.pem` are there, too. */
function read(kind: BackendKind, text: string) {
  const files: Readonly<Record<string, string>> = {
    '/etc/backend.conf': text,
    '/etc/secret': 'pass word\nsecond line\n',
    '/etc/ca.pem': 'PEM',
  }
  return readBackend(kind, '/etc/backend.conf', (path) => {
    const found = files[path]
    if (found === undefined) throw new Error('there is no such file')
    return found
  })
}

test('the settings of a database, as OpenSMTPD names them', () => {
  const backend = read(
    'postgres',
    [
      '# users of the shop',
      'host db.local',
      'username mail',
      'password_file ./secret',
      'database shop',
      'tls yes',
      'query_alias SELECT target FROM aliases',
      '  WHERE address = $1;',
      'query_credentials select login, hash from users where login=$1',
      'fetch_source select address from sources',
    ].join('\n'),
  )
  assert.deepEqual(backend, {
    kind: 'postgres',
    timeoutMs: 5000,
    place: { kind: 'tcp', host: 'db.local', port: 5432 },
    username: 'mail',
    password: 'pass word',
    database: 'shop',
    tls: {},
    lists: { by: new Map([['source', { text: 'select address from sources', places: [] }]]) },
    queries: {
      by: new Map([
        ['alias', { text: 'SELECT target FROM aliases WHERE address = $1', places: ['s'] }],
        ['credentials', { text: 'select login, hash from users where login=$1', places: ['s'] }],
      ]),
    },
  })
})

test('the settings of a database, as Postfix names them', () => {
  const backend = read(
    'mysql',
    [
      'hosts = 192.0.2.1',
      'port = 3307',
      'user = mail',
      'password = a=b c',
      'dbname = shop',
      "query = SELECT 1 FROM users WHERE name = '%u' AND domain = '%d'",
      'timeout = 9',
    ].join('\n'),
  )
  assert.deepEqual(backend, {
    kind: 'mysql',
    timeoutMs: 9000,
    place: { kind: 'tcp', host: '192.0.2.1', port: 3307 },
    username: 'mail',
    password: 'a=b c',
    database: 'shop',
    lists: { by: new Map() },
    queries: { any: { text: 'SELECT 1 FROM users WHERE name = ? AND domain = ?', places: ['u', 'd'] }, by: new Map() },
  })
})

test('what libpq takes is understood', () => {
  const info = "conninfo host='/run/pg' user=mail password='it\\'s' dbname = shop sslmode=require\n"
  const backend = read('postgres', `${info}query select $1\n`)
  assert.ok(backend.kind === 'postgres' && backend.place.kind === 'unix' && backend.place.path === '/run/pg')
  assert.deepEqual([backend.username, backend.password, backend.database, backend.tls], ['mail', "it's", 'shop', {}])
  assert.throws(() => read('postgres', 'conninfo service=x\nquery select $1\n'), /"service" is not understood/)
})

test('a directory is searched by service, or by one filter for all', () => {
  const postfix = read(
    'ldap',
    'server_host = ldap://h:3890\nsearch_base = dc=x\nquery_filter = (mail=%s)\nresult_attribute = maildrop\nscope = one\n',
  )
  assert.ok(postfix.kind === 'ldap' && postfix.bind === undefined && postfix.scope === 'one')
  assert.deepEqual(postfix.searches.by.get('alias')?.attributes, ['maildrop'])
  const own = read(
    'ldap',
    'url ldap://h\nbasedn dc=x\nusername cn=a\npassword b\ncredentials_filter (uid=%s)\ncredentials_attributes uid,userPassword\n',
  )
  assert.ok(own.kind === 'ldap' && own.bind?.password === 'b')
  assert.deepEqual([...own.searches.by.keys()], ['credentials'])
})

test('Redis and web servers have settings of their own', () => {
  const redis = read('redis', 'socket /run/redis\ndatabase 2\npassword_file /etc/secret\nquery hget users:%d %u\n')
  assert.ok(redis.kind === 'redis' && redis.password === 'pass word' && redis.place.kind === 'unix')
  assert.equal(redis.commands.any?.name, 'HGET')
  const http = read('http', 'url https://a.local/%s\ntoken_file secret\nca_file ca.pem\n')
  assert.deepEqual(http, {
    kind: 'http',
    timeoutMs: 5000,
    url: 'https://a.local/%s',
    headers: { authorization: 'Bearer pass word' },
    ca: 'PEM',
  })
})

test('what is wrong is told with its line, and nothing is passed over', () => {
  const faults: readonly (readonly [BackendKind, string, number, RegExp])[] = [
    ['sqlite', 'query select 1', 1, /dbpath is missing/],
    ['sqlite', 'dbpath x\n', 1, /query is missing/],
    [
      'sqlite',
      'dbpath x\nquery select ?\nresult_format %s\n',
      3,
      /no setting "result_format"; one of: timeout, dbpath/,
    ],
    ['sqlite', 'dbpath x\nquery select 1\n', 2, /would not ask for the key/],
    ['sqlite', 'dbpath x\nfetch_source select ?\nquery select ?\n', 2, /a list has no key/],
    ['ldap', 'url ldap://x\nbasedn a\nfilter (a=b)\nattributes c\n', 3, /has no %s/],
    ['sqlite', 'dbpath x\nquery drop table x\n', 2, /begins with "select"/],
    ['sqlite', "dbpath x\nquery select 1 where a = '%s@x'\n", 2, /alone in its quotes/],
    ['postgres', 'conninfo user=a port=b\nquery select $1\n', 1, /the port is a number/],
    ['postgres', 'username a\ndatabase b\nquery select $2\n', 3, /there is one key/],
    ['mysql', 'user a\nusername b\ndatabase b\nquery select 1\n', 2, /are the same/],
    ['mysql', 'user a\ndatabase b\nhosts a b\nquery select 1\n', 1, /write one host/],
    ['mysql', 'user a\npassword\n', 2, /"password" has no value/],
    ['redis', 'query DEL %s\n', 1, /one of GET/],
    ['redis', 'query GET x\n', 1, /no %s/],
    ['redis', 'port 0\nquery GET %s\n', 1, /from 1 to 65535/],
    ['redis', 'password_file /gone\nquery GET %s\n', 1, /cannot read \/gone/],
    ['ldap', 'url http://x\nbasedn a\n', 1, /ldaps:/],
    ['ldap', 'url ldap://x\nbasedn a\nalias_filter (a=%s)\n', 1, /attributes are missing/],
    ['http', 'url ftp://x\n', 1, /no address/],
  ]
  for (const [kind, text, line, message] of faults) {
    assert.throws(
      () => read(kind, text),
      (error) => error instanceof TableFormatError && error.line === line && message.test(error.message),
      text,
    )
  }
})

test('a key never becomes part of a statement', () => {
  const query = parseSqlQuery("select a from `t?` where b = '?' and c = %s -- '%s'\n and d='%d'", 'sqlite')
  assert.deepEqual(query, { text: "select a from `t?` where b = '?' and c = ? -- '%s'\n and d=?", places: ['s', 'd'] })
  assert.deepEqual(valuesOf(query, "o'b@a@x.org"), ["o'b@a@x.org", 'x.org'])
  assert.equal(valuesOf(query, 'joe'), undefined)
  assert.throws(() => parseSqlQuery("select '%u.%d'", 'mysql'), SqlQueryError)
})

test('a template takes the key, its user and its domain', () => {
  const escape = (part: string) => part.toUpperCase()
  assert.equal(keyTemplate('a:%s:%u:%d:%%s').expand('joe@x.org', escape), 'a:JOE@X.ORG:JOE:X.ORG:%s')
  assert.equal(keyTemplate('%u').expand('joe'), 'joe')
  assert.equal(keyTemplate('%d').expand('joe'), undefined)
})

test('no settings make the reader throw anything but a fault with a line', () => {
  const words =
    'dbpath query host user database url basedn filter attributes conninfo timeout = \' " %s $1 ? select GET # x 7 a=b ldap://h __proto__'
  const word = fc.constantFrom('\n', ...words.split(' '))
  const kind = fc.constantFrom<BackendKind>('http', 'ldap', 'mysql', 'postgres', 'redis', 'sqlite')
  fc.assert(
    fc.property(kind, fc.array(word, { maxLength: 40 }), (one, chosen) => {
      try {
        read(one, chosen.join(' '))
      } catch (error) {
        assert.ok(error instanceof TableFormatError && error.line >= 1, String(error))
      }
    }),
    { numRuns: 500 },
  )
})
