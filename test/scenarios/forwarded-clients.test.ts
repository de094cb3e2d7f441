import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { MailSystem } from '../support/mail-system.ts'
import { standardConf } from '../support/configurations.ts'
import { missingPeers } from '../support/peer.ts'
import { startPostfix } from '../support/postfix.ts'
import { swaks } from '../support/swaks.ts'

const [from, to] = ['a@far.example', 'joe@sluice.test']

test(
  'a real Postfix in front tells by XFORWARD who its client was: the log has it',
  { skip: missingPeers('postfix', 'swaks') },
  async (t) => {
    const system = await MailSystem.start({ conf: standardConf(), pipeline: 'trusted filter 127.0.0.1\n' })
    atEnd(t, () => system.stop())
    const postfix = await startPostfix({
      transport: `smtp:[127.0.0.1]:${system.port('smtp')}`,
      parameters: {
        smtp_send_xforward_command: 'yes',
        smtpd_authorized_xclient_hosts: '127.0.0.1',
        mynetworks: '127.0.0.0/8 192.0.2.0/24',
      },
    })
    atEnd(t, () => postfix.stop())
    const args = ['--server', `127.0.0.1:${postfix.port}`, '--from', from, '--to', to, '--ehlo', 'client.far.example']
    const sent = await swaks([...args, '--xclient', 'ADDR=192.0.2.7 NAME=host.far.example PORT=4711'])
    assert.equal(sent.code, 0, sent.stdout)
    const received = await system.waitForEvent('received')
    assert.match(
      String(received['upstream']),
      /^(?:local )?host\.far\.example\[192\.0\.2\.7\]:4711 helo client\.far\.example by ESMTP as \w+$/,
    )
    assert.equal(received['address'], '127.0.0.1')
    await system.waitForEvent('delivered')
  },
)

test(
  'swaks speaks for another client by XCLIENT: rules and Received take him for that one',
  { skip: missingPeers('swaks') },
  async (t) => {
    const system = await MailSystem.start({ conf: standardConf(), pipeline: 'trusted client 127.0.0.1\n' })
    atEnd(t, () => system.stop())
    const args = ['--server', `127.0.0.1:${system.port('smtp')}`, '--from', from, '--to', to]
    const sent = await swaks([...args, '--xclient', 'ADDR=192.0.2.7 NAME=host.far.example HELO=client.far.example'])
    assert.equal(sent.code, 0, sent.stdout)
    const received = await system.waitForEvent('received')
    assert.equal(received['address'], '192.0.2.7')
    const [mail] = await system.maildir('joe').waitForMessages(1)
    assert.match(mail?.field('Received') ?? '', /^from \S+ \(host\.far\.example \[192\.0\.2\.7\]\)/)
    const relaying = await swaks([
      '--server',
      `127.0.0.1:${system.port('smtp')}`,
      '--from',
      from,
      '--to',
      'b@elsewhere.example',
      '--xclient',
      'ADDR=192.0.2.7',
    ])
    assert.notEqual(relaying.code, 0)
    assert.match(relaying.stdout, /<\*\* 5\d\d 5\.7\.1/)
  },
)
