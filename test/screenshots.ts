import { mkdir, writeFile } from 'node:fs/promises'
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

const signInPage = 'sign-in'

/**
 * Takes a picture of each page of the dashboard, light and dark, wide and narrow, of a system that has some mail:
 * `npm run screenshots [-- FOLDER]`. Without a folder those in docs/screenshots are made anew, with their list.
 */
await takeAll(process.argv[2] ?? join(root, 'docs/screenshots'))

async function takeAll(folder: string): Promise<void> {
  const ends: (() => unknown)[] = []
  await mkdir(folder, { recursive: true })
  try {
    const world = await startDashboardWorld((end) => void ends.push(end))
    const pages = dashboardPages(await sendSampleTraffic(world))
    const browser = await startChromium()
    ends.push(() => browser.close())
    for (const [look, options] of looks) {
      const { page: open, close } = await browser.open(world.base, options)
      const page = await open()
      const take = (name: string, fullPage = true): Promise<Buffer> =>
        page.screenshot({
          path: join(folder, `${name}-${look}.jpg`),
          type: 'jpeg',
          quality: 60,
          fullPage,
          animations: 'disabled',
        })
      await page.goto('/')
      await take(signInPage)
      await signIn(page)
      if (look === looks[0]?.[0]) await checkDomain(page)
      await page.goto('/')
      // Until the services have told what they did.
      await page.locator('.arrow[data-tone="good"]').first().waitFor()
      for (const [name, path] of pages) {
        await page.goto(path)
        await page.evaluate(renaming(world.system))
        await take(name, name !== 'live')
      }
      await close()
    }
    await writeFile(join(folder, 'README.md'), listOf([signInPage, ...pages.map(([name]) => name)]))
  } finally {
    for (const end of ends.toReversed()) await end()
  }
}

/** Links to the pictures, a line for each page. */
function listOf(names: readonly string[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const titles = looks.map(([look]) => look.replace('-', ', '))
  const rows = names.map((name) => row([name, ...looks.map(([look]) => `[${look}](${name}-${look}.jpg)`)]))
  return [
    '# The pages of the dashboard',
    '',
    'Made by `npm run screenshots`, of a system that has some mail.',
    '',
    row(['page', ...titles]),
    row(['page', ...titles].map(() => '---')),
    ...rows,
    '',
  ].join('\n')
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
