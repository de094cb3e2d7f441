import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { passwords, standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'

/** As in the seeds: what users send goes through the filter, too, and then to be signed. */
const conf = standardConf()
  .replace('port {{submission}} tls-require', 'port {{submission}} tag Users tls-require')
  .replace(
    'match from auth for any action "sign"',
    'match tag Filtered from auth for any action "sign"\nmatch from auth for any action "scan"',
  )

for (const [when, beforeAccept] of [
  ['is accepted', ''],
  ['is filtered before it is accepted', 'filter before-accept deadline 60s'],
] as const)
  test(`the postmaster is told of spam that a user of ours sends, and the user of his broken header, when it ${when}`, async (t) => {
    const system = await MailSystem.start({
      conf,
      pipeline: standardPipeline(`engines for tag Users builtin
spam for tag Users junk never quarantine 10
notify "postmaster@sluice.test" of spam virus banned
notify senders of bad-header
${beforeAccept}`),
    })
    atEnd(t, () => system.stop())
    const client = await SmtpClient.ready({
      port: system.port('submission'),
      starttls: true,
      user: 'jane',
      password: passwords.jane,
    })
    const from = 'jane@sluice.test'
    const submit = async (content: string) => idOf(await client.send({ from, to: ['joe@sluice.test'], content }))

    const spam = await submit(testMessage({ id: 'spam', from, body: gtube }))
    await system.waitForEvent('held', spam)
    const [told] = await system.maildir('postmaster').waitForMessages(1)
    assert.match(told?.body ?? '', new RegExp(`User: +jane\n[^]*Subject: +spam\nMessage: +${spam}`))
    assert.equal(told?.field('Auto-Submitted'), 'auto-generated')

    const broken = testMessage({ id: 'broken', from }).replace(
      'Date: ',
      'Date: Fri, 20 Nov 2026 11:00:00 +0000\r\nDate: ',
    )
    await submit(broken)
    const [notice] = await system.maildir('jane').waitForMessages(1)
    assert.match(notice?.body ?? '', /\* date stands there 2 times/)
    const [mail] = await system.maildir('joe').waitForMessages(1)
    assert.equal(mail?.field('X-Test-Id'), 'broken', 'it is delivered all the same')
    await client.quit()
  })
