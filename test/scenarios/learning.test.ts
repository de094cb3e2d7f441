import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { makeToken } from '../../shared/config/api-tokens.ts'
import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { startDovecot } from '../support/dovecot.ts'
import type { Dovecot } from '../support/dovecot.ts'
import { startDns } from '../support/dns.ts'
import { freePorts } from '../support/free-port.ts'
import { MailSystem } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
import { findPeer, missingPeers } from '../support/peer.ts'
import { run } from '../support/process.ts'
import { SmtpClient } from '../support/smtp-client.ts'

/** One IMAP command in a mailbox of jane's, by curl. */
async function imap(dovecot: Dovecot, mailbox: string, command: string): Promise<string> {
  const url = `imap://127.0.0.1:${dovecot.imapPort}/${mailbox}`
  const { code, stdout, stderr } = await run(
    findPeer('curl') ?? 'curl',
    ['--silent', '--show-error', '--user', 'jane:x', '--url', url, '--request', command],
    { timeoutMs: 120_000 },
  )
  assert.equal(code, 0, `${command}: ${stderr}\n${await dovecot.log()}`)
  return stdout
}

async function uidOf(dovecot: Dovecot, mailbox: string, subject: string): Promise<string> {
  const uid = /\* SEARCH (\d+)/.exec(await imap(dovecot, mailbox, `UID SEARCH SUBJECT ${subject}`))?.[1]
  assert.ok(uid, `${subject} is not in ${mailbox}`)
  return uid
}

interface Entry {
  readonly by: string
  readonly action: string
  readonly outcome: string
}

async function lastAudited(system: MailSystem): Promise<Entry> {
  const text = await readFile(join(system.dataFolder, 'audit/audit.ndjson'), 'utf8')
  return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '') as Entry
}

async function learned(system: MailSystem): Promise<readonly [number, number]> {
  const { ham, spam } = (await system.ctlJson('learn', 'status')) as { readonly ham: number; readonly spam: number }
  return [ham, spam]
}

async function deliver(system: MailSystem, from: string, subject: string): Promise<void> {
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const body = `Dear ${subject}, these are words of their own about ${subject}.`
  const reply = await client.send({
    from,
    to: ['jane@sluice.test'],
    content: testMessage({ id: subject, from, subject, body }),
  })
  assert.equal(reply.code, 250)
  await client.quit()
}

test(
  'what a user moves into Junk by IMAP is learned as spam, back again as ham; of forged mail nothing is learned',
  { skip: missingPeers('dovecot', 'sievec', 'curl') },
  async (t) => {
    const dns = await startDns({ '_dmarc.forged.test': { TXT: ['v=DMARC1; p=none'] } })
    atEnd(t, () => dns.stop())
    const { token, entry } = makeToken('dovecot', ['learn'])
    // Each must know where the other is.
    const [port = 0] = await freePorts(1)
    const learning = { url: `http://127.0.0.1:${port}`, token }
    const dovecot = await startDovecot({ users: { jane: 'x' }, learning })
    atEnd(t, () => dovecot.stop())
    const system = await MailSystem.start({
      conf: standardConf({ deliver: `lmtp "127.0.0.1:${dovecot.lmtpPort}" userbase <people>` }),
      pipeline: standardPipeline(`resolver "${dns.address}"
table tokens { "dovecot" = "${entry}" }
dashboard listen "127.0.0.1:${port}" tokens <tokens>`),
    })
    atEnd(t, () => system.stop())
    await deliver(system, 'bob@remote.test', 'lottery')
    await deliver(system, 'ceo@forged.test', 'invoice')
    const mails = await dovecot.maildir('jane').waitForMessages(2)
    const forged = mails.find((mail) => mail.field('Subject') === 'invoice')
    assert.match(forged?.field('Authentication-Results') ?? '', /dmarc=fail/)
    for (const mailbox of ['Junk', 'Trash']) await imap(dovecot, '', `CREATE ${mailbox}`)
    const lottery = await uidOf(dovecot, 'INBOX', 'lottery')

    // The move is done when the script is: Dovecot answers behind it.
    await imap(dovecot, 'INBOX', `UID MOVE ${lottery} Junk`)
    assert.deepEqual(await learned(system), [0, 1], await dovecot.log())
    await imap(dovecot, 'Junk', `UID MOVE ${await uidOf(dovecot, 'Junk', 'lottery')} INBOX`)
    assert.deepEqual(await learned(system), [1, 0], 'the last word counts')
    await imap(dovecot, 'INBOX', `UID MOVE ${await uidOf(dovecot, 'INBOX', 'lottery')} Junk`)
    await imap(dovecot, 'Junk', `UID MOVE ${await uidOf(dovecot, 'Junk', 'lottery')} Trash`)
    assert.deepEqual(await learned(system), [0, 1], 'what is thrown away is no ham')

    await imap(dovecot, 'INBOX', `UID MOVE ${await uidOf(dovecot, 'INBOX', 'invoice')} Junk`)
    assert.deepEqual(await learned(system), [0, 1])
    const { by, action, outcome } = await lastAudited(system)
    assert.deepEqual([by, action, outcome], ['token dovecot', 'learn spam', 'refused'])
  },
)
