import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import { scramAnswer, scramHello } from '../../shared/login/testing.ts'
import { atEnd } from '../support/at-end.ts'
import { standardConf } from '../support/configurations.ts'
import { startDovecot } from '../support/dovecot.ts'
import { MailSystem } from '../support/mail-system.ts'
import { missingPeers } from '../support/peer.ts'
import { plain, SmtpClient } from '../support/smtp-client.ts'

const mechanisms = 'auth mechanisms plain login scram-sha-256\n'

test(
  'logins are asked of Dovecot by TCP and by socket, and wait for its return when it is away',
  { skip: missingPeers('dovecot') },
  async (t) => {
    const later = (clean: () => unknown) => atEnd(t, clean)
    const dovecot = await startDovecot({ users: { jane: 'secret' } })
    later(() => dovecot.stop())
    const system = await MailSystem.start({
      conf: standardConf().replaceAll('auth <accounts>', 'auth'),
      pipeline: `login dovecot "127.0.0.1:${dovecot.authPort}"\n${mechanisms}`,
    })
    later(() => system.stop())

    async function login(user: string, password: string, client?: SmtpClient): Promise<string> {
      const asking = client ?? (await SmtpClient.ready({ port: system.port('smtps'), implicitTls: true }))
      if (client === undefined) later(() => asking.destroy())
      return (await asking.command(`AUTH PLAIN ${plain(user, password)}`)).raw.slice(0, 9)
    }

    async function scramLogin(user: string, password: string): Promise<string> {
      const client = await SmtpClient.ready({ port: system.port('smtps'), implicitTls: true })
      later(() => client.destroy())
      const hello = Buffer.from(scramHello(user)).toString('base64')
      const challenge = await client.command(`AUTH SCRAM-SHA-256 ${hello}`)
      const proof = scramAnswer(user, password, Buffer.from(challenge.lines[0] ?? '', 'base64'))
      const proved = await client.command(proof.toString('base64'))
      return (proved.code === 334 ? await client.command('') : proved).raw.slice(0, 9)
    }

    for (const place of ['TCP', 'socket']) {
      if (place === 'socket') {
        await system.configure('pipeline.conf', `login dovecot "${dovecot.authSocket}"\n${mechanisms}`)
        const reloaded = await system.ctl('reload')
        assert.equal(reloaded.code, 0, reloaded.stdout + reloaded.stderr)
      }
      assert.equal(await login('Jane', 'secret'), '235 2.7.0', place)
      assert.equal(await login('jane', 'wrong'), '535 5.7.8', place)
      assert.equal(await scramLogin('jane', 'secret'), '235 2.7.0', place)
      assert.equal(await scramLogin('jane', 'wrong'), '535 5.7.8', place)

      await dovecot.halt()
      const patient = await SmtpClient.ready({ port: system.port('smtps'), implicitTls: true })
      later(() => patient.destroy())
      assert.equal(await login('jane', 'secret', patient), '454 4.7.0', place)
      assert.equal(await login('jane', 'wrong'), '454 4.7.0', place)
      await dovecot.start()
      assert.equal(await login('jane', 'secret', patient), '235 2.7.0', place)
      assert.equal(await login('john', 'secret'), '535 5.7.8', place)
    }
    assert.deepEqual(
      system.log.filter(({ event }) => event === 'authenticated').map(({ user }) => user),
      Array.from({ length: 6 }, () => 'jane'),
      'the name is the one Dovecot knows',
    )
  },
)

test(
  'tokens of OAuth 2 are judged by Dovecot, who asks the server that gave them out',
  { skip: missingPeers('dovecot') },
  async (t) => {
    const issuer = createServer((request, response) => {
      let asked = ''
      request.on('data', (chunk: Buffer) => (asked += chunk.toString()))
      request.on('end', () => {
        const good = new URLSearchParams(asked).get('token') === 'good'
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify(good ? { active: true, username: 'jane' } : { active: false }))
      })
    })
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve))
    atEnd(t, () => issuer.closeAllConnections())
    atEnd(t, () => issuer.close())
    const introspectUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/introspect`
    const dovecot = await startDovecot({ users: { jane: 'secret' }, introspectUrl })
    atEnd(t, () => dovecot.stop())
    const system = await MailSystem.start({
      conf: standardConf().replaceAll('auth <accounts>', 'auth'),
      pipeline: `login dovecot "127.0.0.1:${dovecot.authPort}"\nauth mechanisms plain oauthbearer xoauth2\n`,
    })
    atEnd(t, () => system.stop())
    const said = {
      OAUTHBEARER: (user: string, token: string) =>
        `n,a=${user},\x01host=mx.sluice.test\x01port=465\x01auth=Bearer ${token}\x01\x01`,
      XOAUTH2: (user: string, token: string) => `user=${user}\x01auth=Bearer ${token}\x01\x01`,
    }
    for (const [mechanism, message] of Object.entries(said)) {
      for (const [user, token, reply] of [
        ['jane', 'good', '235 2.7.0'],
        ['jane', 'bad', '535 5.7.8'],
        ['joe', 'good', '535 5.7.8'],
      ] as const) {
        const client = await SmtpClient.ready({ port: system.port('smtps'), implicitTls: true })
        const claim = Buffer.from(message(user, token)).toString('base64')
        const first = await client.command(`AUTH ${mechanism} ${claim}`)
        const last = first.code === 334 ? await client.command('AQ==') : first
        assert.equal(last.raw.slice(0, 9), reply, `${mechanism} ${user} ${token}`)
        client.destroy()
      }
    }
    assert.deepEqual(
      system.log.filter(({ event }) => event === 'authenticated').map(({ user }) => user),
      ['jane', 'jane'],
    )
  },
)
