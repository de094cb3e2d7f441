import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'

import type { Page } from 'playwright-core'

import { atEnd } from '../support/at-end.ts'
import { openPage, startChromium } from '../support/chromium.ts'
import {
  checkDomain,
  dashboardPages,
  looks,
  sendSampleTraffic,
  signIn,
  startDashboardWorld,
} from '../support/dashboard-world.ts'
import { missingPeers } from '../support/peer.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const ask = `axe.run(document, { resultTypes: ['violations'], preload: false })`

interface Findings {
  readonly violations: readonly {
    readonly id: string
    readonly impact: string | null
    readonly help: string
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
  }[]
}

/** What axe-core finds on the page as it is shown now, what is minor left out. */
async function findingsOn(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate<Findings>(ask)
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}\n${node.html}\n${node.failureSummary ?? ''}`))
}

/** What lies beyond the right edge, so that the whole page would have to be scrolled sideways. */
const overflow = `document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth`

test(
  'every page can be used by everybody, light and dark, wide and narrow',
  { skip: missingPeers('chromium') },
  async (t) => {
    const world = await startDashboardWorld((clean) => atEnd(t, clean))
    const pages = dashboardPages(await sendSampleTraffic(world))
    const browser = await startChromium()
    atEnd(t, () => browser.close())
    for (const [look, options] of looks) {
      await t.test(look, async (t) => {
        const page = await openPage(t, browser, world.base, options)
        await page.goto('/sign-in')
        assert.deepEqual(await findingsOn(page), [], 'sign-in')
        await signIn(page)
        if (look === looks[0]?.[0]) await checkDomain(page)
        for (const [name, path] of pages) {
          await page.goto(path)
          assert.deepEqual(await findingsOn(page), [], name)
          assert.equal(await page.evaluate(overflow), 0, `${name} is wider than the screen`)
        }
      })
    }
  },
)
