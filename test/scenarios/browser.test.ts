import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { BrowserContextOptions, Page } from 'playwright-core'

import { atEnd } from '../support/at-end.ts'
import { openPage, startChromium } from '../support/chromium.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { operatorPassword, operatorsFile } from '../support/operators.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const gtube = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X'
const readable = ['/', '/queues', '/queues/filter', '/held', '/destinations', '/reports', '/rules', '/system']

/** A dashboard with operators and a quarantine, and a browser before it. */
async function start(t: TestContext) {
  const system = await MailSystem.start({
    conf: standardConf({ more: 'table operators file:{{folder}}/operators' }),
    pipeline: standardPipeline('spam quarantine 10\ndashboard listen "127.0.0.1:{{http}}" auth <operators>'),
    files: { operators: operatorsFile },
  })
  atEnd(t, () => system.stop())
  const browser = await startChromium()
  atEnd(t, () => browser.close())
  const base = `http://127.0.0.1:${system.port('http')}`
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  atEnd(t, () => client.quit())
  return {
    system,
    /** A browser that has just been opened; what it has to complain about fails the test. */
    open: (one: TestContext, options?: BrowserContextOptions): Promise<Page> => openPage(one, browser, base, options),
    send: async (id: string, to: string, body = 'hello'): Promise<string> =>
      idOf(await client.send({ from: 'friend@remote.test', to: [to], content: testMessage({ id, to, body }) })),
  }
}

async function signIn(page: Page, name = 'ada'): Promise<void> {
  await page.goto('/')
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(operatorPassword)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation', { name: 'Pages' }).waitFor()
}

test('the dashboard in Chromium', { skip: missingPeers('chromium') }, async (t) => {
  const { system, open, send } = await start(t)

  await t.test('a held message is found by its recipient, read, and released to its mailbox', async (t) => {
    const id = await send('kept', 'joe@sluice.test', gtube)
    await system.waitForEvent('held', id)
    const page = await open(t)
    await signIn(page)
    await page.getByRole('link', { name: 'Held', exact: true }).click()
    const row = page.getByRole('row').filter({ hasText: 'joe@sluice.test' })
    await row.getByRole('link', { name: id }).click()
    await page.getByRole('heading', { name: id }).waitFor()
    const story = page.locator('.story')
    await story.getByText('received from friend@remote.test').waitFor()
    assert.match(await story.innerText(), /GTUBE/)

    await page.getByRole('link', { name: 'Release…' }).click()
    await page.getByRole('button', { name: 'Release', exact: true }).click()
    await page.getByText('The message is on its way again.').waitFor()
    await system.waitForEvent('delivered', id)
    assert.equal((await system.maildir('joe').waitForMessages(1)).length, 1)
    await page.getByText('delivered', { exact: true }).first().waitFor()
  })

  await t.test('a queue is paused and resumed, and numbers move while the page stays', async (t) => {
    const page = await open(t)
    await signIn(page)
    await page.getByRole('link', { name: 'Queues' }).click()
    await page.getByRole('link', { name: 'deliver', exact: true }).click()
    await page.getByRole('button', { name: 'Pause', exact: true }).click()
    await page.getByText('The queue is paused.').waitFor()
    await page.goto('/')
    await page.evaluate('globalThis.stays = true')
    const card = page.locator('a[href="/queues/deliver"]').first()
    const id = await send('waits', 'bob@sluice.test')
    await card.getByText('1 waiting').waitFor()
    assert.equal(await page.evaluate('globalThis.stays'), true, 'without a reload')

    await card.click()
    await page.getByText('bob@sluice.test').waitFor()
    await page.getByRole('button', { name: 'Resume', exact: true }).click()
    await page.getByText('The queue is running.').waitFor()
    await system.waitForEvent('delivered', id)
    await page.getByText('No messages here.').waitFor()
  })

  await t.test('without JavaScript everything is read, and forms do what they say', async (t) => {
    const id = await send('plain', 'joe@sluice.test', gtube)
    await system.waitForEvent('held', id)
    const page = await open(t, { javaScriptEnabled: false })
    await signIn(page)
    for (const path of [...readable, `/messages/${id}`]) {
      await page.goto(path)
      assert.notEqual((await page.locator('main').innerText()).trim(), '', path)
      assert.equal(await page.locator('h1').count(), 1, path)
    }
    await page.getByText('received from friend@remote.test').waitFor()
    await page.goto('/queues/sign')
    await page.getByRole('button', { name: 'Pause', exact: true }).click()
    await page.getByText('The queue is paused.').waitFor()
    await page.getByRole('button', { name: 'Resume', exact: true }).click()
    await page.getByText('The queue is running.').waitFor()
    await page.goto('/rules?rcpt=jane%40sluice.test')
    await page.getByText('match from any for domain').first().waitFor()
  })

  await t.test('the keyboard alone reaches and does everything', async (t) => {
    const page = await open(t)
    await page.goto('/')
    await page.keyboard.type('ada')
    await page.keyboard.press('Tab')
    await page.keyboard.type(operatorPassword)
    await page.keyboard.press('Enter')
    await page.getByRole('navigation', { name: 'Pages' }).waitFor()
    for (const path of readable) await walk(page, path)

    await page.goto('/queues/relay')
    await tabTo(page, 'Pause')
    await page.keyboard.press('Enter')
    await page.getByText('The queue is paused.').waitFor()
    await tabTo(page, 'Resume')
    await page.keyboard.press('Enter')
    await page.getByText('The queue is running.').waitFor()
    await page.goto('/')
    await page.keyboard.press('Tab')
    assert.equal((await focused(page)).text, 'Skip to content')
    await page.keyboard.press('Enter')
    assert.equal((await focused(page)).name, 'MAIN')
    await tabTo(page, 'Sign out')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  })

  await t.test('the focus stays on a message while others come before it', async (t) => {
    const page = await open(t)
    await signIn(page)
    const id = await send('first', 'jane@sluice.test', gtube)
    await system.waitForEvent('held', id)
    await page.goto('/held')
    const link = page.getByRole('link', { name: id })
    await link.focus()
    const other = await send('second', 'jane@sluice.test', gtube)
    await page.getByRole('link', { name: other }).waitFor()
    assert.equal((await focused(page)).text, id)
    await page.keyboard.press('Enter')
    await page.waitForURL(`**/messages/${id}`)
  })

  await t.test('who may only look finds nothing to press', async (t) => {
    const page = await open(t)
    await signIn(page, 'rita')
    for (const path of readable.filter((one) => one !== '/rules')) {
      await page.goto(path)
      assert.equal(await page.locator('main button').count(), 0, path)
    }
  })
})

interface Focused {
  readonly name: string
  readonly text: string
  /** Place among all elements of the page. */
  readonly order: number
  /** It has an outline, and at least a part of it lies in the window. */
  readonly seen: boolean
}

const describeFocused = `(() => {
  const one = document.activeElement
  const box = one.getBoundingClientRect()
  const style = getComputedStyle(one)
  const inWindow = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth
  return {
    name: one.tagName,
    text: (one.innerText || one.getAttribute('aria-label') || '').trim(),
    order: [...document.querySelectorAll('*')].indexOf(one),
    seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && inWindow,
  }
})()`

function focused(page: Page): Promise<Focused> {
  return page.evaluate<Focused>(describeFocused)
}

const mostTabs = 200

async function tabTo(page: Page, text: string): Promise<void> {
  for (let tabs = 0; tabs < mostTabs; tabs += 1) {
    await page.keyboard.press('Tab')
    if ((await focused(page)).text === text) return
  }
  assert.fail(`no Tab leads to '${text}'`)
}

/** Everything that can be focused is, in the order of the page, where it can be seen, and nothing keeps the focus. */
async function walk(page: Page, path: string): Promise<void> {
  await page.goto(path)
  const all = await page
    .locator('a[href]:visible, button:visible, input:not([type=hidden]):visible, select:visible, textarea:visible')
    .count()
  let [first, last, reached] = [-1, -1, 0]
  for (;;) {
    await page.keyboard.press('Tab')
    const now = await focused(page)
    if (now.name === 'BODY' || now.order === first) break
    if (first < 0) first = now.order
    assert.ok(now.order > last, `${path}: ${now.name} '${now.text}' is out of order`)
    assert.ok(now.seen, `${path}: the focus on ${now.name} '${now.text}' cannot be seen`)
    last = now.order
    reached += 1
    assert.ok(reached <= mostTabs, path)
  }
  assert.ok(reached >= all, `${path}: ${reached} of ${all} are reached`)
}
