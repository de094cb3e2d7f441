import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { BrowserContextOptions, Page } from 'playwright-core'

import { atEnd } from '../support/at-end.ts'
import { openPage, startChromium } from '../support/chromium.ts'
import { gtube, signIn, startDashboardWorld } from '../support/dashboard-world.ts'
import { operatorPassword } from '../support/operators.ts'
import { missingPeers } from '../support/peer.ts'

const readable = [
  '/',
  '/queues',
  '/queues/filter',
  '/messages',
  '/messages/actions?q=domain%3Asluice.test',
  '/messages/runs',
  '/messages/searches',
  '/held',
  '/destinations',
  '/reports',
  '/events',
  '/rules',
  '/filters',
  '/domains',
  '/domains/sluice.test',
  '/system',
]

/** A system with operators and a quarantine, and a browser before it. */
async function start(t: TestContext) {
  const world = await startDashboardWorld((clean) => atEnd(t, clean))
  const browser = await startChromium()
  atEnd(t, () => browser.close())
  return {
    system: world.system,
    /** A browser that has just been opened; what it has to complain about fails the test. */
    open: (one: TestContext, options?: BrowserContextOptions): Promise<Page> =>
      openPage(one, browser, world.base, options),
    send: (id: string, to: string, body?: string): Promise<string> =>
      world.receive({ id, to, ...(body === undefined ? {} : { body }) }),
  }
}

test('the dashboard in Chromium', { skip: missingPeers('chromium') }, async (t) => {
  const { system, open, send } = await start(t)

  await t.test('a held message is found by its recipient, read, and released to its mailbox', async (t) => {
    const id = await send('kept', 'joe@sluice.test', gtube)
    await system.waitForEvent('held', id)
    const page = await open(t)
    await signIn(page)
    await page.getByLabel('Message', { exact: true }).fill('joe@sluice.test')
    await page.getByRole('button', { name: 'Find' }).click()
    const row = page.getByRole('row').filter({ hasText: 'joe@sluice.test' })
    // The store is told by the journal, a moment later.
    while ((await row.count()) === 0) await page.reload()
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

  await t.test('what a search finds is told with its number, held by one button, and removed', async (t) => {
    const ids = [await send('bulk1', 'jane@sluice.test', gtube), await send('bulk2', 'jane@sluice.test', gtube)]
    for (const id of ids) await system.waitForEvent('held', id)
    const page = await open(t)
    await signIn(page)
    await page.goto(`/messages?q=${encodeURIComponent(`status:held id:${ids.join(',')}`)}`)
    while ((await page.getByRole('link', { name: /^0m/ }).count()) < ids.length) await page.reload()
    await page.getByRole('link', { name: 'Do something to all that is found' }).click()
    await page.getByRole('heading', { name: '2 messages' }).waitFor()
    await page.getByRole('row', { name: 'Drops it for good, unreported 2 messages' }).waitFor()
    await page.getByLabel('also what a filter keeps back, when it comes to remove').check()
    await page.getByRole('button', { name: 'Remove' }).click()
    await page.getByText('2 jobs removed').waitFor()
    for (const id of ids) await system.waitForEvent('removed', id)
    await page.getByRole('link', { name: 'All runs' }).click()
    await page
      .getByRole('row')
      .filter({ hasText: ids.join(',') })
      .filter({ hasText: 'done' })
      .waitFor()
  })

  for (const javaScriptEnabled of [true, false])
    await t.test(
      `held messages are ticked and removed together${javaScriptEnabled ? '' : ', without JavaScript'}`,
      async (t) => {
        const sent = [await send('tick1', 'bob@sluice.test', gtube), await send('tick2', 'bob@sluice.test', gtube)]
        const stays = await send('untick', 'bob@sluice.test', gtube)
        for (const id of [...sent, stays]) await system.waitForEvent('held', id)
        const page = await open(t, { javaScriptEnabled })
        await signIn(page)
        await page.getByRole('link', { name: 'Quarantine' }).click()
        for (const id of sent) await page.getByRole('checkbox', { name: id }).check()
        await page.getByRole('button', { name: 'Remove…' }).click()
        await page.getByRole('heading', { name: 'Remove: 2 messages' }).waitFor()
        await page.getByRole('button', { name: 'Remove', exact: true }).click()
        await page.getByText('2 messages removed.').waitFor()
        for (const id of sent) await system.waitForEvent('removed', id)
        await page.getByRole('checkbox', { name: stays }).waitFor()
        for (const id of sent) assert.equal(await page.getByRole('checkbox', { name: id }).count(), 0)
      },
    )

  await t.test('a ticked message stays ticked, and the same, while others come', async (t) => {
    const id = await send('tick3', 'bob@sluice.test', gtube)
    await system.waitForEvent('held', id)
    const page = await open(t)
    await signIn(page)
    await page.goto('/held')
    const box = page.getByRole('checkbox', { name: id })
    await box.check()
    const later = await send('comes', 'bob@sluice.test', gtube)
    await system.waitForEvent('held', later)
    await page.evaluate(`new Promise((resolve) => {
      const [ticks, seen] = [new EventSource('/live'), []]
      ticks.addEventListener('tick', () => seen.push(0) === 3 && resolve(ticks.close()))
    })`)
    const other = page.getByRole('checkbox', { name: later })
    assert.equal(await other.count(), 0)
    assert.equal(await box.isChecked(), true)
    await box.uncheck()
    await other.waitFor()
    assert.equal(await other.isChecked(), false)
  })

  await t.test('a search is saved under a name, shows its number, and is renamed and deleted', async (t) => {
    const id = await send('saved', 'jane@sluice.test', gtube)
    await system.waitForEvent('held', id)
    const page = await open(t)
    await signIn(page)
    await page.goto(`/messages?q=${encodeURIComponent(`id:${id} status:held`)}`)
    await page.getByText('Save this search').click()
    await page.getByLabel('Name').fill('The one that is kept')
    await page.getByRole('button', { name: 'Save' }).click()
    const saved = page.getByRole('navigation', { name: 'Saved searches' })
    await saved.getByRole('link', { name: /^The one that is kept/ }).waitFor()
    await saved.getByRole('link', { name: 'All saved searches' }).click()
    await page
      .getByRole('row')
      .filter({ hasText: 'The one that is kept' })
      .getByRole('cell', { name: '1', exact: true })
      .waitFor()
    await page.getByRole('link', { name: 'Change… The one that is kept' }).click()
    await page.getByLabel('New name').fill('Kept')
    await page.getByRole('button', { name: 'Rename' }).click()
    await page.getByRole('link', { name: 'Change… Kept' }).click()
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByText('None yet.').waitFor()
  })

  await t.test('a queue is paused and resumed, and numbers move while the page stays', async (t) => {
    const page = await open(t)
    await signIn(page)
    await page.getByRole('link', { name: 'Queues' }).click()
    await page.getByRole('link', { name: 'deliver', exact: true }).click()
    await page.getByRole('button', { name: /^Pause queue/ }).click()
    await page.getByText('The queue is paused.').waitFor()
    await page.goto('/')
    await page.evaluate('globalThis.stays = true')
    const card = page.locator('a[href="/queues/deliver"]').first()
    const id = await send('waits', 'bob@sluice.test')
    await card.getByText('1 waiting').waitFor()
    assert.equal(await page.evaluate('globalThis.stays'), true, 'without a reload')

    await card.click()
    await page.getByText('bob@sluice.test').waitFor()
    await page.getByRole('button', { name: /^Resume queue/ }).click()
    await page.getByText('The queue is running.').waitFor()
    await system.waitForEvent('delivered', id)
    await page.getByText('No messages here.').waitFor()
  })

  await t.test('events come while one looks, until they are paused, and a word chooses among them', async (t) => {
    const page = await open(t)
    await signIn(page)
    await page.getByRole('link', { name: 'Live', exact: true }).click()
    const first = await send('seen', 'bob@sluice.test')
    await page.getByRole('row').filter({ hasText: first }).filter({ hasText: 'delivered' }).waitFor()
    await page.getByRole('button', { name: 'Pause updates' }).click()
    const second = await send('unseen', 'bob@sluice.test')
    await system.waitForEvent('delivered', second)
    // Two ticks of the server.
    for (const _ of [1, 2]) await page.evaluate(nextTick)
    assert.equal(await page.getByText(second).count(), 0)
    await page.getByRole('button', { name: 'Go on with updates' }).click()
    await page.getByText(second).first().waitFor()

    await page.getByLabel('Only those with the word').fill(first.toUpperCase())
    await page.keyboard.press('Enter')
    await page.waitForURL('**/events?word=*')
    await page.getByText(first).first().waitFor()
    assert.equal(await page.getByText(second).count(), 0)
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
    await page.getByRole('button', { name: /^Pause queue/ }).click()
    await page.getByText('The queue is paused.').waitFor()
    await page.getByRole('button', { name: /^Resume queue/ }).click()
    await page.getByText('The queue is running.').waitFor()
    await page.goto('/rules?rcpt=jane%40sluice.test')
    await page.getByText('match from any for domain').first().waitFor()
    await page.goto('/rules/dry-run')
    const buffer = Buffer.from('listen on 127.0.0.1 port 2525\nmatch nothing at all\n')
    await page.getByLabel('or smtpd.conf from a file').setInputFiles({ name: 'a.conf', mimeType: '', buffer })
    await page.getByRole('button', { name: 'Try', exact: true }).click()
    while ((await page.getByText('match nothing at all').count()) === 0) await page.reload()
  })

  await t.test(
    'all pages stand beside the page; on a phone they open under a button, without JavaScript',
    async (t) => {
      const wide = await open(t)
      await signIn(wide)
      const pages = wide.getByRole('navigation', { name: 'Pages' })
      await pages.getByRole('link', { name: 'Queues' }).click()
      await pages.getByRole('link', { name: 'Queues' }).and(wide.locator('[aria-current=page]')).waitFor()
      assert.equal(await wide.getByText('Menu', { exact: true }).isVisible(), false)

      const phone = await open(t, { javaScriptEnabled: false, viewport: { width: 390, height: 844 }, isMobile: true })
      await signIn(phone)
      assert.equal(await phone.getByRole('navigation', { name: 'Pages' }).isVisible(), false)
      assert.equal(await phone.getByRole('button', { name: 'Pause updates' }).isVisible(), false, 'it needs JavaScript')
      await phone.getByText('Menu', { exact: true }).focus()
      await phone.keyboard.press('Enter')
      await phone.getByRole('link', { name: 'Destinations' }).click()
      await phone.getByRole('heading', { name: 'Destinations', level: 1 }).waitFor()
      await phone.getByText('Menu', { exact: true }).click()
      await phone.getByRole('button', { name: 'Sign out' }).click()
      await phone.getByRole('heading', { name: 'Sign in' }).waitFor()
    },
  )

  await t.test('the keyboard alone reaches and does everything', async (t) => {
    const page = await open(t)
    await page.goto('/')
    // The browser puts the focus there with the first picture, which may be after the page is loaded.
    await page.locator('input:focus').waitFor()
    await page.keyboard.type('ada')
    await page.keyboard.press('Tab')
    await page.keyboard.type(operatorPassword)
    await page.keyboard.press('Enter')
    await page.getByRole('navigation', { name: 'Pages' }).waitFor()
    for (const path of readable) await walk(page, path)

    await page.goto('/queues/relay')
    await tabTo(page, 'Pause queue relay')
    await page.keyboard.press('Enter')
    await page.getByText('The queue is paused.').waitFor()
    await tabTo(page, 'Resume queue relay')
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

  await t.test('the source of a message is read by an operator, and by nobody who may only look', async (t) => {
    const id = await send('source', 'joe@sluice.test', gtube)
    await system.waitForEvent('held', id)
    const page = await open(t)
    await signIn(page)
    await page.goto(`/messages/${id}`)
    await page.getByRole('cell', { name: 'GTUBE' }).waitFor()
    await page.getByRole('link', { name: 'Source' }).click()
    await page.getByText(gtube).waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await signIn(page, 'rita')
    await page.goto(`/messages/${id}`)
    assert.equal(await page.getByRole('link', { name: 'Source' }).count(), 0)
    const refused = await page.request.get(`/messages/${id}/source`)
    assert.equal(refused.status(), 403)
  })

  await t.test('who may only look finds nothing to press', async (t) => {
    const page = await open(t)
    await signIn(page, 'rita')
    for (const path of readable) {
      await page.goto(path)
      assert.equal(await page.locator('main form[method=post]').count(), 0, path)
    }
  })
})

const nextTick = `new Promise((resolve) => new EventSource('/live').addEventListener('tick', function () {
  this.close()
  resolve()
}))`

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
    text: (one.innerText || one.getAttribute('aria-label') || '').replace(/\\s+/g, ' ').trim(),
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
