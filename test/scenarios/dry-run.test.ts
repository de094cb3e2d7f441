import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import type { DryRun } from '../../shared/dry-run/dry-run.ts'
import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const gtube = ['XJS*C4JDBQADN1.NSBN3*2IDNEN*', 'GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'].join('')

const rule = 'match from any mail-from "@unwanted.test" for any reject\n'
const newRules = `${standardConf().replace('match tag Filtered', `${rule}match tag Filtered`)}
match from any for domain "partner.test" action "remote"
`
const spamOf = (thresholds: string): string =>
  standardPipeline(`dashboard listen "127.0.0.1:{{http}}"
spam engine builtin classifier off
${thresholds}`)

test('a changed smtpd.conf and a changed threshold are held against the mail that came', async (t) => {
  const system = await MailSystem.start({
    conf: standardConf(),
    pipeline: spamOf('spam junk 5'),
    files: { 'next/smtpd.conf': newRules, 'next/pipeline.conf': spamOf('spam junk 5 quarantine 15') },
  })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const send = (from: string, to: readonly string[], body = 'see you at noon') =>
    client.send({ from, to, content: testMessage({ id: from.slice(0, 3), from, body }) })

  const both = ['jane@sluice.test', 'joe@sluice.test']
  const ids = [
    idOf(await send('ann@unwanted.test', both)),
    idOf(await send('win@spam.test', ['jane@sluice.test'], gtube)),
    idOf(await send('bob@remote.test', ['jane@sluice.test'])),
  ]
  const ends = [...ids, ids[0]].map((id) => system.waitForEvent('delivered', id))
  assert.equal((await send('bob@remote.test', ['nobody@sluice.test'])).code, 550)
  await client.command('RSET')
  assert.equal((await send('bob@remote.test', ['carol@partner.test'])).code, 550)
  await Promise.all(ends)
  await system.maildir('joe').waitForMessages(1)
  await system.waitForEmptyQueues()

  const next = join(dirname(system.dataFolder), 'next')
  const tried = await system.ctl('dry-run', '-f', join(next, 'smtpd.conf'), '-p', join(next, 'pipeline.conf'))
  assert.deepEqual([tried.code, tried.stderr], [0, ''])
  const line = newRules.split('\n').findIndex((text) => `${text}\n` === rule) + 1
  const [head = '', ...lines] = tried.stdout.trimEnd().split('\n')
  assert.match(head, /^looked at 5 messages for 6 recipients, since /)
  const shown = lines.map((text) => text.replace(/^ {2}[0-9a-z]{18} {2}/, '  ID  ').replaceAll(/ {3,}/g, '  '))
  assert.deepEqual(shown, [
    'unchanged 2, changed 4, not judged 0',
    '',
    'would change  recipients  share',
    `delivered by "deliver" -> rejected (smtpd.conf:${line})  2  33.3 %`,
    '  ID  ann@unwanted.test  jane@sluice.test',
    '  ID  ann@unwanted.test  joe@sluice.test',
    'delivered by "deliver" as junk -> held by the filter  1  16.7 %',
    '  ID  win@spam.test  jane@sluice.test',
    'rejected (550 5.7.1) -> relayed by "remote"  1  16.7 %',
    '  ID  bob@remote.test  carol@partner.test',
  ])

  const failing = await system.ctl('dry-run', '-p', join(next, 'pipeline.conf'), '--days', '1', '--fail-on-change')
  assert.equal(failing.code, 1)
  assert.match(failing.stdout, /^unchanged 5, changed 1, not judged 0$/m)
  const conf = join(dirname(system.dataFolder), 'smtpd.conf')
  const same = await system.ctl('dry-run', '-f', conf, '--fail-on-change')
  assert.equal(same.code, 0, same.stdout)
  assert.match(same.stdout, /^unchanged 6, changed 0, not judged 0$/m)
  const { unchanged, changes } = (await system.ctlJson('dry-run', '-f', join(next, 'smtpd.conf'))) as DryRun
  assert.deepEqual([unchanged, changes.length, changes[0]?.examples[0]?.id], [3, 2, ids[0]])
  assert.equal((await system.ctl('dry-run')).code, 2)
})
