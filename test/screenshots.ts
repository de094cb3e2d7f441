import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { startChromium } from './support/chromium.ts'
import {
  checkDomain,
  dashboardPages,
  looks,
  sendSampleTraffic,
  signIn,
  startDashboardWorld,
} from './support/dashboard-world.ts'
import { root } from './support/fixtures.ts'

/** Those that are kept with the documentation; the folder stays small. */
const kept =
  /^(?:overview|queues|messages|message-held|reports|live|filters|domain|system)-(?:wide-light|wide-dark|phone-light)$/

/**
 * Takes a picture of each page of the dashboard, light and dark, wide and narrow, of a system that has some mail:
 * `npm run screenshots [-- FOLDER]`. Without a folder the ones that stand in docs/screenshots are made anew.
 */
await takeAll(process.argv[2])

async function takeAll(folder = join(root, 'docs/screenshots')): Promise<void> {
  const ends: (() => unknown)[] = []
  const all = process.argv[2] !== undefined
  await mkdir(folder, { recursive: true })
  try {
    const world = await startDashboardWorld((end) => void ends.push(end))
    const pages = dashboardPages(await sendSampleTraffic(world))
    const browser = await startChromium()
    ends.push(() => browser.close())
    for (const [look, options] of looks) {
      const { page: open, close } = await browser.open(world.base, options)
      const page = await open()
      await page.goto('/')
      if (all) await page.screenshot({ path: join(folder, `sign-in-${look}.png`), fullPage: true })
      await signIn(page)
      if (look === looks[0]?.[0]) await checkDomain(page)
      await page.goto('/')
      // Until the services have told what they did.
      await page.locator('.arrow[data-tone="good"]').first().waitFor()
      for (const [name, path] of pages) {
        if (!all && !kept.test(`${name}-${look}`)) continue
        await page.goto(path)
        await page.evaluate(renaming(world.system))
        const fullPage = all || name !== 'live'
        await page.screenshot({ path: join(folder, `${name}-${look}.png`), fullPage, animations: 'disabled' })
      }
      await close()
    }
  } finally {
    for (const end of ends.toReversed()) await end()
  }
}

/** Puts the usual folders in place of those of this machine. */
function renaming({ dataFolder }: { readonly dataFolder: string }): string {
  const names = [
    [join(root, 'test/fixtures'), '/etc/sluice'],
    [dataFolder, '/var/sluice'],
    [dirname(dataFolder), '/etc/sluice'],
  ]
  return `(() => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (texts.nextNode() !== null)
      for (const [from, to] of ${JSON.stringify(names)})
        texts.currentNode.nodeValue = texts.currentNode.nodeValue.replaceAll(from, to)
  })()`
}
