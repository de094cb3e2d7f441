import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { plain } from '../../../test/support/smtp-client.ts'
import { connectFrom, fixtureConfiguration, hold, startRestricted } from './testing.ts'
import { outside, seedDialogues, seedZone } from './seed-dialogues.ts'

for (const [seed, dialogues] of Object.entries(seedDialogues)) {
  for (const [what, { client: address = outside, says, slept }] of Object.entries(dialogues)) {
    test(`${seed}: ${what}`, async (t) => {
      const inbound = await start(t, seed)
      const client = await connectFrom(address, { port: inbound.port })
      t.after(() => client.destroy())
      assert.equal((await client.reply()).code, 220)
      await hold(client, says)
      if (slept !== undefined) assert.equal(inbound.slept.length, slept)
    })
  }
}

test('s0: submission is for those who have logged in', async (t) => {
  const inbound = await start(t, 's0')
  const port = inbound.addresses[1]?.port ?? 0
  const client = await connectFrom('192.168.1.7', { port })
  t.after(() => client.destroy())
  await client.reply()
  const helloed = ['EHLO mail.ailleurs.example', '250']
  const mail = ['MAIL FROM:<haddock@ailleurs.example>', '250 2.1.0']
  await hold(client, [helloed, ['MAIL FROM:<haddock@ailleurs.example>', '530 5.7.0']])
  await client.startTls()
  await hold(client, [helloed, mail, ['RCPT TO:<a@loin.example>', '554 5.7.1'], ['RSET', '250']])
  await hold(client, [
    [`AUTH PLAIN ${plain('tintin', 'wrong')}`, '535 5.7.8'],
    [`AUTH PLAIN ${plain('tintin', 'secret')}`, '235 2.7.0'],
    mail,
    ['RCPT TO:<a@loin.example>', '250 2.1.5'],
  ])
})

async function start(t: TestContext, seed: string) {
  const inbound = await startRestricted(await fixtureConfiguration(seed), seedZone)
  t.after(() => inbound.close())
  return inbound
}
