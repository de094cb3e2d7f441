import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { openPage, startChromium } from '../support/chromium.ts'
import { signIn } from '../support/dashboard-world.ts'
import { Demonstration } from './demo.ts'
import { docker, eventually, missingEngine } from './engine.ts'

const jane = 'jane@demo.example'
const joe = 'joe@demo.example'

describe('docker compose -f deploy/demo.yml up -d --build --wait', { skip: missingEngine() }, () => {
  let demo: Demonstration
  before(async () => {
    demo = await Demonstration.start()
  })
  after(() => demo?.remove())

  test('each sample has the end that docs/operations.md tells, by itself', async () => {
    for (const query of [
      `from:anna@partner.example to:${jane} status:delivered`,
      `from:news@shop.example to:${joe} status:delivered`,
      `from:${jane} to:anna@partner.example status:relayed`,
      'to:nobody@demo.example status:refused',
      'to:victim@partner.example status:refused',
      `from:${jane} to:ghost@strict.example status:failed`,
      `from:<> to:${jane} status:delivered`,
      'to:@cautious.example status:delayed "Greylisted"',
      `to:${jane} status:held "eicar.com in invoice.zip"`,
    ])
      await demo.finds(query)
    assert.match(await demo.said('internet'), /^a wrong password, refused: .*535 /m)
    await demo.reads(jane, 'INBOX', 'Notes 1')
    await demo.reads(jane, 'Junk', 'You have won 1')
    await demo.reads(joe, 'Junk', 'Account 1')
  })

  test('what is greylisted is taken at the second attempt', async () => {
    await demo.ctl('schedule', '--queue', 'relay')
    await demo.finds('to:@cautious.example status:relayed')
  })

  test('a newcomer signs in with the password that is told, and lets go what is held', async (t) => {
    const browser = await startChromium()
    atEnd(t, () => browser.close())
    const page = await openPage(t, browser, `http://127.0.0.1:${await demo.port('door', 8080)}`)
    await signIn(page, 'demo', 'demo')
    await page.goto('/held')
    await page.getByRole('link', { name: /^0/ }).last().click()
    await page.getByRole('link', { name: 'Release…' }).click()
    await page.getByRole('button', { name: 'Release', exact: true }).click()
    await demo.reads(jane, 'INBOX', 'Your invoice ')
  })

  test('no container but the door has a way out of this host', async () => {
    const services = (await demo.compose('ps', '--services')).trim().split('\n')
    assert.ok(services.includes('relay'))
    for (const service of services.filter((name) => name !== 'door')) {
      const [id = ''] = await demo.containers(service)
      const routes = await docker('exec', id, 'cat', '/proc/net/route')
      assert.doesNotMatch(routes, /^\S+\t00000000\t/m, service)
    }
  })

  test('a server that thinks for twenty seconds is waited for', () =>
    demo.finds('to:carl@slow.example status:relayed "250 2.0.0"'))

  test('mail is taken while Redis is away, it moves on when it is back, and the books are without a difference', async () => {
    await demo.compose('kill', 'redis')
    await demo.takesMore()
    await demo.compose('start', 'redis')
    await demo.takesMore()
    const taken = await demo.taken()
    await demo.compose('stop', 'internet')
    await eventually(
      () => demo.books(),
      ({ behindBytes, sums }) => {
        const { accepted = 0, missing, ...ends } = sums
        const ended = Object.values(ends).reduce((sum, copies) => sum + copies, 0)
        return behindBytes === 0 && missing === 0 && accepted === ended && accepted >= taken
      },
      (books) => Promise.resolve(`the books have a difference, of ${taken} and more: ${JSON.stringify(books)}`),
    )
  })
})
