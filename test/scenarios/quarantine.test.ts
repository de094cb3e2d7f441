import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { newMessageId } from '../../shared/mail/message-id.ts'
import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import type { MailFile } from '../support/maildir.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'

/** Links of a digest's text, by subject and what they do. */
function linksIn(digest: MailFile): ReadonlyMap<string, string> {
  const [text = ''] = digest.body.replaceAll('=\n', '').replaceAll('=3D', '=').split('text/html')
  const links = new Map<string, string>()
  for (const block of text.split('\n\n')) {
    const subject = /^Subject: +(\S+)/m.exec(block)?.[1]
    for (const [, label, url] of block.matchAll(/^ {2}(.+):\n {4}(\S+)/gm)) links.set(`${subject}: ${label}`, url ?? '')
  }
  return links
}

interface Held {
  readonly held: readonly { readonly id: string; readonly to: readonly string[] }[]
}

test('who is told of held mail lets his copy go by a link, and deletes another with its sender', async (t) => {
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: standardPipeline(`spam quarantine 10
quarantine keep 30d digest every 1d at "07:00" to recipients
dashboard listen "127.0.0.1:{{http}}" url "http://localhost:{{http}}"`),
  })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const send = async (subject: string, to: readonly string[]) =>
    client.send({ from: 'win@spam.test', to, content: testMessage({ id: subject, subject, body: gtube }) })
  const both = ['jane@sluice.test', 'joe@sluice.test']
  const ids = [idOf(await send('first', both)), idOf(await send('second', both))]
  for (const id of ids) await system.waitForEvent('held', id)

  // As a start finds it that digests broke off before: they are due now.
  const nowAt = Date.now()
  const sending = { until: nowAt + 60_000, seed: newMessageId(nowAt) }
  const state = join(system.dataFolder, 'quarantine/digests.json')
  // The first look of the ledger writes it, once.
  while (!existsSync(state)) await sleep(50)
  await writeFile(state, JSON.stringify({ toldUntil: 0, lastAt: nowAt, sending }))
  const [digest] = await system.maildir('jane').waitForMessages(1)
  assert.ok(digest)
  assert.equal(digest.field('Auto-Submitted'), 'auto-generated')
  await system.maildir('joe').waitForMessages(1)
  const links = linksIn(digest)

  const release = links.get('first: Deliver it') ?? ''
  assert.match(release, /^http:\/\/localhost:\d+\/quarantine\//)
  const page = await fetch(release)
  assert.match(await page.text(), /<form method="post">/)
  assert.equal((await fetch(release, { method: 'HEAD' })).status, 200)
  assert.equal((await system.maildir('jane').messages()).length, 1, 'looking at a link delivers nothing')
  assert.equal((await fetch(release, { method: 'POST' })).status, 200)
  const mails = await system.maildir('jane').waitForMessages(2)
  assert.ok(mails.some((mail) => mail.field('X-Test-Id') === 'first'))
  assert.equal((await fetch(release, { method: 'POST' })).status, 410)

  const block = links.get('second: Delete it, and block the sender') ?? ''
  assert.equal((await fetch(block, { method: 'POST' })).status, 200)
  const { held } = (await system.ctlJson('show', 'held')) as Held
  assert.deepEqual(
    held.map((job) => job.to),
    [['joe@sluice.test'], ['joe@sluice.test']],
    'the copies of others stay',
  )
  await client.command('MAIL FROM:<win@spam.test>')
  assert.match((await client.command('RCPT TO:<jane+x@sluice.test>')).raw, /^550 5\.7\.1 .*does not take mail from you/)
  assert.equal((await client.command('RCPT TO:<joe@sluice.test>')).code, 250)
  await client.quit()
  assert.match((await system.ctl('block', 'list')).stdout, /win@spam\.test +jane@sluice\.test/)
})
