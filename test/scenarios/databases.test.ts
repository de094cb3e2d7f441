import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import {
  databaseCa,
  startDirectoryServer,
  startMariadbServer,
  startPostgresServer,
  startRedisTlsServer,
} from '../support/databases.ts'
import type { DatabaseServer } from '../support/databases.ts'
import { fixture } from '../support/fixtures.ts'
import { MailSystem } from '../support/mail-system.ts'
import { missingPeers } from '../support/peer.ts'
import type { Peer } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { tempFolder } from '../support/temp-folder.ts'

interface Database {
  readonly peer: Peer
  readonly backend: string
  readonly start: () => Promise<DatabaseServer>
  readonly settings: (port: number, ca: string) => string
}

const rows = `CREATE TABLE domains (name VARCHAR(255) PRIMARY KEY);
INSERT INTO domains VALUES ('sluice.test');
CREATE TABLE aliases (address VARCHAR(255), target VARCHAR(255));
INSERT INTO aliases VALUES ('team', 'jane'), ('staff', 'jane'), ('crew', 'jane');
`

const entries = `dn: ou=sluice.test,dc=test
objectClass: organizationalUnit
ou: sluice.test

${['team', 'staff', 'crew']
  .map((name) => `dn: uid=${name},dc=test\nobjectClass: account\nuid: ${name}\ndescription: jane\n\n`)
  .join('')}`

const queries = (place: string): string => `query_domain select 1 from domains where name = ${place}
query_alias select target from aliases where address = ${place}
`

/** A slow machine takes long for the first connection. */
const timeout = 'timeout 60\n'

const databases: Readonly<Record<string, Database>> = {
  postgres: {
    peer: 'pg_ctl',
    backend: 'postgres',
    start: () => startPostgresServer(rows),
    settings: (port, ca) =>
      `host localhost\nport ${port}\nusername mail\npassword secret\ndatabase mail\nca_file ${ca}\n${queries('$1')}`,
  },
  mariadb: {
    peer: 'mariadbd',
    backend: 'mysql',
    start: () => startMariadbServer(rows),
    settings: (port, ca) =>
      `host localhost\nport ${port}\nusername mail\npassword secret\ndatabase mail\nca_file ${ca}\n${queries('?')}`,
  },
  openldap: {
    peer: 'slapd',
    backend: 'ldap',
    start: () => startDirectoryServer(entries),
    settings: (port, ca) =>
      `url ldap://localhost:${port}\nstart_tls yes\nca_file ${ca}\nusername cn=reader,dc=test\npassword secret\nbasedn dc=test\n` +
      'domain_filter (ou=%s)\ndomain_attributes ou\nalias_filter (uid=%s)\nalias_attributes description\n',
  },
  redis: {
    peer: 'redis-server',
    backend: 'redis',
    start: () =>
      startRedisTlsServer([
        ['SADD', 'domains', 'sluice.test'],
        ['MSET', 'alias:team', 'jane', 'alias:staff', 'jane', 'alias:crew', 'jane'],
      ]),
    settings: (port, ca) =>
      `host localhost\nport ${port}\nca_file ${ca}\nquery_domain SISMEMBER domains %s\nquery_alias GET alias:%s\n`,
  },
}

const conf = (backend: string, folder: string): string => `
table shop "${backend}:${folder}/shop.conf"
table other "${backend}:${folder}/other.conf"
table people { "jane" = "1000:1000:/home/jane" }
listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test" tag Shop
listen on 127.0.0.1 port {{second}} hostname "mx.sluice.test" tag Other
action "deliver" maildir "{{data}}/mail/%{user.username}" userbase <people> alias <shop>
match from any tag Shop for domain <shop> action "deliver"
action "other" maildir "{{data}}/mail/%{user.username}" userbase <people> alias <other>
match from any tag Other for domain "sluice.test" action "other"
`

for (const [name, { peer, backend, start, settings }] of Object.entries(databases)) {
  test(
    `${name} tells domains and aliases by TLS; while it is away they are asked for later, and a stranger in its place is told nothing`,
    { skip: missingPeers(peer) },
    async (t) => {
      const server = await start()
      atEnd(t, () => server.stop())
      const folder = await tempFolder('database')
      atEnd(t, () => folder.remove())
      await writeFile(join(folder.path, 'shop.conf'), timeout + settings(server.port, databaseCa))
      await writeFile(join(folder.path, 'other.conf'), timeout + settings(server.port, fixture('tls/world-ca.pem')))
      const system = await MailSystem.start({ conf: conf(backend, folder.path), pipeline: 'users from <people>\n' })
      atEnd(t, () => system.stop())

      async function rcpt(address: string, port = system.port('smtp')): Promise<string> {
        const client = await SmtpClient.ready({ port })
        atEnd(t, () => client.destroy())
        await client.command('MAIL FROM:<bob@elsewhere.test>')
        return (await client.command(`RCPT TO:<${address}>`)).raw.slice(0, 9)
      }

      assert.equal(await rcpt('team@sluice.test'), '250 2.1.5')
      assert.equal(await rcpt("nobody'||'@sluice.test"), '550 5.1.1')
      assert.equal(await rcpt('team@elsewhere.test'), '550 5.7.1')
      assert.match(await rcpt('team@sluice.test', system.port('second')), /^451 4\.3\./)
      await server.halt()
      assert.match(await rcpt('staff@sluice.test'), /^451 4\.3\./)
      await server.start()
      assert.equal(await rcpt('crew@sluice.test'), '250 2.1.5')
    },
  )
}
