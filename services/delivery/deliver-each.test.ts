import assert from 'node:assert/strict'
import { test } from 'node:test'

import { formatReply } from '../../shared/mail/reply.ts'
import { deliverEach } from './deliver-each.ts'
import { deliveryOf, localAction, stageMessage } from './testing.ts'

const trouble: readonly (readonly [code: string, reply: RegExp])[] = [
  ['EDQUOT', /^452 4\.2\.2 The mailbox is full$/],
  ['ENOSPC', /^452 4\.3\.1 /],
  ['EACCES', /^451 4\.3\.5 /],
  ['EROFS', /^451 4\.3\.5 /],
  ['ENOTDIR', /^451 4\.3\.5 /],
  ['ENAMETOOLONG', /^550 5\.1\.3 /],
  ['EIO', /^451 4\.3\.0 /],
]

for (const [code, reply] of trouble) {
  test(`trouble of the disk with one copy (${code}) is told in the words of mail, and does not touch the others`, async () => {
    const message = stageMessage({ to: ['jane@example.org', 'joe@example.org'] })
    const attempts = await deliverEach(deliveryOf(message, localAction({ kind: 'mbox' })), async ({ user }) => {
      if (user.name === 'jane') throw Object.assign(new Error(`${code}: /var/mail/jane`), { code })
      return { code: 250, text: 'Delivered' }
    })
    const [jane, joe] = attempts.map((attempt) => formatReply(attempt.reply))
    assert.match(jane ?? '', reply)
    assert.doesNotMatch(jane ?? '', /var\/mail/)
    assert.equal(joe, '250 Delivered')
  })
}
