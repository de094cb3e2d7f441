import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import Database from 'libsql'

import { atEnd } from '../support/at-end.ts'
import { passwords } from '../support/configurations.ts'
import { startDovecot } from '../support/dovecot.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { tempFolder } from '../support/temp-folder.ts'

const janeHash = '$2b$06$Kzj8ua.gYUfzgaXwtiyrVODPTdSxMaSCsUClHve2W3fqia1OAAhmi'

const statements = `
  CREATE TABLE domains (name TEXT PRIMARY KEY);
  INSERT INTO domains VALUES ('sluice.test');
  CREATE TABLE aliases (address TEXT, target TEXT);
  INSERT INTO aliases VALUES ('team', 'jane'), ('team', 'joe');
  CREATE TABLE logins (login TEXT PRIMARY KEY, hash TEXT, addresses TEXT);
  INSERT INTO logins VALUES ('jane', '{BLF-CRYPT}${janeHash}', 'jane@sluice.test');
`

/** The first question starts a thread; a slow machine takes long for it. */
const settings = `dbpath shop.db
timeout 60
query_domain select 1 from domains where name = ?
query_alias select target from aliases where address = ?
query_credentials select login, hash from logins where login = ?
query_mailaddrmap select addresses from logins where login = ?
`

const conf = (folder: string, dovecot: string) => `
pki "mx.sluice.test" cert "{{fixtures}}/tls/server.pem" key "{{fixtures}}/tls/server.key"
table shop "sqlite:${folder}/shop.conf"
table staff "dovecot:${dirname(dovecot)}/auth-userdb"
table moved "pcre:${folder}/moved"
listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
listen on 127.0.0.1 port {{submission}} tls-require pki "mx.sluice.test" auth <shop> senders <shop> hostname "mx.sluice.test"
action "deliver" lmtp "${dovecot}" alias <shop>
action "remote" relay
match from any for domain <shop> action "deliver"
match from auth for any action "remote"
`

test(
  'domains, aliases, logins and senders come from SQLite, users from Dovecot, the moved from patterns',
  { skip: missingPeers('dovecot') },
  async (t) => {
    const dovecot = await startDovecot({ users: { jane: 'x', joe: 'x' } })
    atEnd(t, () => dovecot.stop())
    const folder = await tempFolder('tables')
    atEnd(t, () => folder.remove())
    const at = (name: string): string => join(folder.path, name)
    const database = new Database(at('shop.db'))
    database.exec(statements)
    database.close()
    await writeFile(at('shop.conf'), settings)
    await writeFile(at('moved'), '/^(.+)@old\\.(.+)$/ $1@$2\n/^gone-(.+)@/ $1@elsewhere.test\n')
    const system = await MailSystem.start({
      conf: conf(folder.path, dovecot.lmtpSocket),
      pipeline: 'users from <staff>\nrelocated <moved>\n',
    })
    atEnd(t, () => system.stop())

    const stranger = await SmtpClient.ready({ port: system.port('smtp') })
    const rcpt = async (address: string): Promise<string> => {
      const { code, lines } = await stranger.command(`RCPT TO:<${address}>`)
      return `${code} ${lines.join(' ')}`
    }
    await stranger.command('MAIL FROM:<bob@elsewhere.test>')
    assert.match(await rcpt('jane@sluice.test'), /^250 /)
    assert.match(await rcpt('nobody@sluice.test'), /^550 .*5\.1\.1/)
    assert.match(await rcpt('jane@elsewhere.test'), /^550 .*5\.7\.1/)
    assert.match(await rcpt('gone-joe@sluice.test'), /^550 .*5\.1\.6 .*joe@elsewhere\.test/)
    await rename(at('shop.db'), at('away.db'))
    assert.match(await rcpt('eve@sluice.test'), /^451 /)
    await rename(at('away.db'), at('shop.db'))
    assert.match(await rcpt('eve@sluice.test'), /^550 .*5\.1\.1/)
    await stranger.quit()

    const login = { port: system.port('submission'), starttls: true, user: 'jane' }
    await assert.rejects(SmtpClient.ready({ ...login, password: 'wrong' }), /535/)
    const jane = await SmtpClient.ready({ ...login, password: passwords.jane })
    assert.equal((await jane.command('MAIL FROM:<joe@sluice.test>')).code, 553)
    const from = 'jane@sluice.test'
    const reply = await jane.send({ from, to: ['team@sluice.test'], content: testMessage({ id: 'team', from }) })
    await jane.quit()
    await system.waitForEvent('delivered', idOf(reply))
    for (const user of ['jane', 'joe']) await dovecot.maildir(user).waitForMessages(1)
  },
)
