import { formatSecond } from '../../../shared/report/units.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { Visitor } from '../visitor.ts'
import { navigation } from './navigation.ts'
import type { Section } from './navigation.ts'
import { formTokenField } from './parts.ts'

export interface Page {
  readonly title: string
  /** Path of the navigation entry this page belongs to. */
  readonly section: Section | 'none'
  readonly at: number
  readonly main: Html
  /** It is not kept up to date: what the reader types would be lost. */
  readonly still?: true
}

/** The frame of all pages. Reads well without scripts; with them, `main` is kept up to date. It never reloads under the hands of who types. */
export function layout(page: Page, visitor: Visitor): Html {
  const live = html`<script type="module" src="/assets/live.js"></script>`
  return frame(
    page.title,
    page.still === true ? undefined : live,
    html`<div class="frame">
<header class="side"><div>
<a class="brand" href="/">${logo}<span>Sluice</span></a>
${navigation(page.section)}
${signOut(visitor)}
</div></header>
<div class="page">
<div class="bar">
  <form class="find" action="/messages" method="get" role="search">
    <label for="find" class="quiet">Message</label>
    <input id="find" name="q" type="search" placeholder="id, address or text" autocomplete="off" spellcheck="false" maxlength="1000">
    <button>Find</button>
  </form>
  <p class="status"><span id="freshness">As of <time datetime="${new Date(page.at).toISOString()}">${formatSecond(page.at)}</time></span>
  ${page.still !== true && html`<button type="button" id="pause" hidden>Pause updates</button><noscript><a href="">Reload</a></noscript>`}</p>
</div>
<main id="main" tabindex="-1">
${page.main}
</main>
<footer class="bottom">
  <span><a href="/health">health</a> <a href="/api/v1/openapi.json">api</a></span>
</footer>
</div>
</div>`,
  )
}

/** For those who have not signed in: says nothing about the mail. */
export function bareLayout(title: string, main: Html): Html {
  return frame(
    title,
    undefined,
    html`<header class="top"><a class="brand" href="/">${logo}<span>Sluice</span></a></header>
<main id="main" tabindex="-1">
${main}
</main>`,
  )
}

function frame(title: string, head: HtmlValue, body: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title} · Sluice</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/sluice.css">
${head}
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
${body}
</body>
</html>
`
}

function signOut(visitor: Visitor): HtmlValue {
  if (visitor.name === undefined) return undefined
  return html`<form class="who" action="/sign-out" method="post">${formTokenField(visitor)}<span>${visitor.name} <small>${visitor.role}</small></span> <button>Sign out</button></form>`
}

const logo = html`<svg class="logo" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true"><path d="M2 7h9v3H2zM2 13h9M13 3v18M15 14h7M15 17h7M15 20h7" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"/></svg>`

export const iconSvg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="#0d6b60"/><path d="M3 8h8M3 12h8M13 4v16M15 14h6M15 18h6" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round"/></svg>\n`
