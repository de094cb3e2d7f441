import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import type { HeldCopy } from '../../../shared/operate/quarantine.ts'
import type { LinkAction } from '../../../shared/quarantine/links.ts'

/** What a recipient sees who followed a link of his digest. Shows no more of the message than the digest did. */
export interface LinkPage {
  readonly title: string
  readonly main: Html
}

const questions: Readonly<Record<LinkAction, readonly [string, string]>> = {
  release: ['Deliver this message?', 'Deliver it'],
  ham: ['Deliver this message, and learn that mail like it is wanted?', 'Deliver it'],
  delete: ['Delete this message? It cannot be had back.', 'Delete it'],
  block: [
    'Delete this message, and refuse mail from its sender from now on? It cannot be had back.',
    'Delete and block',
  ],
}

/** The form goes to the address of the page, whatever stands before its path. */
export function linkPage({ mailbox, from, reason }: HeldCopy, action: LinkAction): LinkPage {
  const [question, label] = questions[action]
  const main = html`<div class="headline"><h1>A message that was kept back</h1></div>
<p>${question}</p>
<dl class="facts"><div><dt>Sender</dt><dd class="address">${from ?? '<>'}</dd></div>
<div><dt>For</dt><dd class="address">${mailbox}</dd></div>
<div><dt>Kept back</dt><dd>${reason}</dd></div></dl>
<form method="post"><button class="primary"${(action === 'delete' || action === 'block') && html` data-tone="bad"`}>${label}</button></form>`
  return { title: 'A message that was kept back', main }
}

export function linkDonePage(detail: string): LinkPage {
  return { title: 'Done', main: html`<div class="headline"><h1>Done</h1></div>\n<p>The message: ${detail}.</p>` }
}

const problems = {
  'not good': 'This link is not good: it is too old, or not whole.',
  'not held': 'This message is not kept back any more: it was delivered, deleted or kept too long.',
  'not offered': 'This message is let go by an operator only.',
  'read-only': 'Nothing can be changed here.',
  'too many': 'Too many links were followed. Please try again later.',
  later: 'This cannot be done at the moment. Please try again later.',
} as const

export function linkProblemPage(problem: keyof typeof problems): LinkPage {
  return {
    title: 'Nothing was done',
    main: html`<div class="headline"><h1>Nothing was done</h1></div>\n<p>${problems[problem]}</p>`,
  }
}
