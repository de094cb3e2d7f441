import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Page } from 'playwright-core'

import { saveSearch } from '../../shared/searches/saved-searches.ts'
import { atEnd } from '../support/at-end.ts'
import { openPage, startChromium } from '../support/chromium.ts'
import {
  checkDomain,
  gtube,
  hostileText as hostile,
  keepRun,
  looks,
  quarantineLink,
  sampleReport,
  signIn,
  startDashboardWorld,
} from '../support/dashboard-world.ts'
import { missingPeers } from '../support/peer.ts'

const endless = 'a'.repeat(900)

/** Everything that a stranger can write into a message, and that some page shows. */
const letter = [
  `From: "${hostile.replaceAll('"', '\\"')}" <win@lottery.test>`,
  `To: ${hostile} <joe@sluice.test>`,
  `Reply-To: ${endless}@lottery.test`,
  `Subject: ${hostile} ${endless} \u202egnp.exe`,
  `Message-ID: <${hostile.replaceAll(/[ "<>]/g, '.')}@lottery.test>`,
  `X-Mailer: ${hostile}`,
  `List-Id: ${hostile}`,
  'Date: Fri, 20 Nov 2026 12:00:00 +0000',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  'Content-Type: text/plain; charset=utf-8',
  '',
  gtube,
  hostile,
  endless,
  '--b',
  'Content-Type: text/html; charset=utf-8',
  '',
  `<html><body onload="hacked()">&lt;b&gt; ${hostile} <iframe src="http://elsewhere.test/"></iframe></body></html>`,
  '--b',
  'Content-Type: application/octet-stream; name="<img src=x onerror=hacked()>.exe"',
  'Content-Disposition: attachment; filename="<img src=x onerror=hacked()>.exe"',
  '',
  'x',
  '--b--',
  '',
].join('\r\n')

/** What only a page that took text for markup would have. */
const strangers = `document.querySelectorAll(
  'script:not([src="/assets/live.js"]), img, iframe, object, embed, base, style, link:not([href^="/assets/"]), [onerror], [onload], [style], body > title',
).length`

const overflow = `document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth`
const frame = `[...document.body.children, ...document.querySelectorAll('.page > *')].map((one) => one.localName).join(' ')`

async function check(page: Page, path: string, says: string | undefined): Promise<void> {
  await page.goto(path)
  assert.equal(await page.evaluate(strangers), 0, `${path}: there is markup that is not ours`)
  assert.equal(await page.evaluate('typeof globalThis.done === "boolean"'), false, `${path}: something has run`)
  const expected = path.startsWith('/quarantine/') ? 'a header main' : 'a div div main footer'
  assert.equal(await page.evaluate(frame), expected, `${path}: the frame is broken`)
  assert.equal(await page.evaluate(overflow), 0, `${path} is wider than the screen`)
  if (says !== undefined) await reloadUntil(page, says)
}

/** The store is told by the journal, a moment later. */
async function reloadUntil(page: Page, says: string): Promise<void> {
  const endAt = Date.now() + 120_000
  while (!(await page.locator('main').innerText()).includes(says)) {
    assert.ok(Date.now() < endAt, `${page.url()} does not say ${says}`)
    await page.reload()
  }
}

test('what strangers write is text on every page, and breaks none', { skip: missingPeers('chromium') }, async (t) => {
  const { system, base, receive, submit, publish } = await startDashboardWorld((clean) => atEnd(t, clean))
  publish({ '_dmarc.sluice.test': { TXT: [`v=DMARC1; p=${hostile}`] } })
  const local = '"<img src=x onerror=hacked()>"'
  const from = `${local}@lottery.test`
  const held = await receive({ from, to: 'joe@sluice.test', content: letter })
  await system.waitForEvent('held', held)
  const delayed = await submit({ to: `${local}@evil.test`, subject: hostile })
  await system.waitForEvent('delayed', delayed)
  const report = await receive({
    to: 'postmaster@sluice.test',
    content: sampleReport('&lt;img src=x onerror=hacked()&gt;'),
  })
  await system.waitForEvent('delivered', report)
  const browser = await startChromium()
  atEnd(t, () => browser.close())

  const image = '<img src=x onerror=hacked()>'
  await saveSearch(system.dataFolder, { name: image, query: `"${image}"`, by: image, at: Date.now() })
  const asked = encodeURIComponent(hostile)
  const reply = '<img src=x onerror="hacked()"><script>hacked()</script>'
  const pages: readonly (readonly [path: string, says?: string])[] = [
    ['/', reply],
    ['/queues/relay', reply],
    [`/queues/${asked}`],
    ['/held', image],
    [`/held/release?id=${held}`, image],
    [`/messages/${held}`, image],
    [`/messages/${held}/preview`, hostile.slice(0, 40)],
    [`/messages/${held}/source`, hostile.slice(0, 40)],
    [`/messages/${held}/release`, image],
    [`/messages/${held}/remove`, image],
    [`/messages/${held}/change`],
    [await quarantineLink(system, held), image],
    [`/messages/${delayed}`, reply],
    [`/messages/${delayed}/change`, image],
    [`/messages/${delayed}/replay`, '<img src=x onerror="hacked()">'],
    [`/messages/${delayed}/replay?from=${asked}`, hostile],
    [`/messages/${asked}`],
    [`/messages?q=${asked}`],
    ['/messages', image],
    ['/messages/actions?q=status%3Adelayed', image],
    [`/messages/actions?q=${asked}`],
    ['/messages/searches', image],
    [`/messages/searches/change?name=${encodeURIComponent(image)}`, image],
    ['/messages/runs', hostile],
    [`/messages/runs/${await keepRun(system, hostile)}`, hostile],
    ['/destinations', reply],
    ['/destinations/evil.test'],
    [`/destinations/${asked}`],
    [`/tags/${asked}`],
    ['/events', image],
    [`/events?word=${asked}`, hostile],
    [`/rules?rcpt=${asked}&from=${asked}&helo=${asked}&user=${asked}&tag=${asked}&client=${asked}`],
    [`/rules?rcpt=jane%40sluice.test&helo=${asked}`],
    [`/filters?days=${asked}`],
    [`/domains/${asked}`],
    ['/domains'],
    ['/domains/sluice.test', hostile],
    [`/reports?domain=${asked}`],
    ['/reports?domain=sluice.test', image],
    ['/system', image],
    [`/system?word=${asked}`],
    [`/?done=${asked}`],
    [`/${asked}`],
  ]
  for (const [look, options] of [looks[0], looks[2]].filter((one) => one !== undefined)) {
    await t.test(look, async (t) => {
      const page = await openPage(t, browser, base, options)
      await page.addInitScript('globalThis.hacked = () => { globalThis.done = true }')
      await page.goto(`/sign-in?to=${asked}`)
      await page.getByLabel('Name').fill(hostile)
      await page.getByLabel('Password').fill(hostile)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByText('That did not fit.').waitFor()
      assert.equal(await page.evaluate(strangers), 0)
      await signIn(page)
      if (look === looks[0]?.[0]) await checkDomain(page)
      const token = await page.locator('input[name=token]').first().inputValue()
      await page.request.post(`/queues/${encodeURIComponent(image)}/pause`, { form: { token } })
      for (const [path, says] of pages) await check(page, path, says)
    })
  }
})
