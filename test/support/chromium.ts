import assert from 'node:assert/strict'

import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'

import { atEnd } from './at-end.ts'
import { findPeer } from './peer.ts'

const waitMs = 120_000

export interface Chromium {
  /** A browser of its own as far as cookies go. `base` is the only origin it may ask. */
  open(base: string, options?: BrowserContextOptions): Promise<WatchedContext>
  close(): Promise<void>
}

/** Pages that are looked over the shoulder: what a careful reader would find in the developer tools. */
export interface WatchedContext {
  readonly context: BrowserContext
  page(): Promise<Page>
  /** Console errors and warnings, uncaught errors, dialogs, violations of the CSP, requests to elsewhere; all so far. */
  readonly problems: readonly string[]
  close(): Promise<void>
}

/** Debian's Chromium without a window. */
export async function startChromium(): Promise<Chromium> {
  const browser = await chromium.launch({
    executablePath: findPeer('chromium') ?? 'chromium',
    args: ['--no-sandbox', '--disable-gpu'],
    timeout: waitMs,
  })
  return {
    open: (base, options) => openWatched(browser, base, options),
    close: () => browser.close(),
  }
}

/** Closed at the end of the test, which fails when the browser had anything to complain about. */
export async function openPage(
  t: Parameters<typeof atEnd>[0],
  browser: Chromium,
  base: string,
  options?: BrowserContextOptions,
): Promise<Page> {
  const watched = await browser.open(base, options)
  atEnd(t, async () => {
    await watched.close()
    assert.deepEqual(watched.problems, [])
  })
  return watched.page()
}

/** Tells violations of the CSP to the console, which is watched. Runs beside the page's own scripts, past its CSP. */
const tellViolations = `document.addEventListener('securitypolicyviolation', (violation) =>
  console.error('CSP: ' + violation.violatedDirective + ' ' + violation.blockedURI + ' ' + violation.sample))`

async function openWatched(
  browser: Browser,
  base: string,
  options: BrowserContextOptions = {},
): Promise<WatchedContext> {
  const context = await browser.newContext({ baseURL: base, ...options })
  context.setDefaultTimeout(waitMs)
  context.setDefaultNavigationTimeout(waitMs)
  if (options.javaScriptEnabled !== false) await context.addInitScript(tellViolations)
  const problems: string[] = []
  const refused = new Set<string>()
  const { origin } = new URL(base)
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()))
      problems.push(`console: ${message.text()} ${message.location().url}`)
  })
  context.on('response', (response) => {
    // A page that says no is a page; the console tells it all the same.
    if (response.request().isNavigationRequest() && response.status() >= 400)
      refused.add(`status of ${response.status()} (${response.statusText()}) ${response.url()}`)
  })
  context.on('weberror', (error) => problems.push(`uncaught: ${error.error().message}`))
  context.on('dialog', (dialog) => {
    problems.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  context.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) problems.push(`request: ${request.url()}`)
  })
  return {
    context,
    get problems() {
      return problems.filter((problem) => ![...refused].some((one) => problem.endsWith(one)))
    },
    page: () => context.newPage(),
    close: () => context.close(),
  }
}
