import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'

/** Path of a page that stands in the navigation. */
export type Section = (typeof groups)[number]['sections'][number][0]

/** Told apart by what one comes for: what flows, single messages, what decides, what was. */
const groups = [
  {
    title: 'Flow',
    sections: [
      ['/', 'Overview'],
      ['/queues', 'Queues'],
      ['/destinations', 'Destinations'],
      ['/events', 'Live'],
    ],
  },
  {
    title: 'Mail',
    sections: [
      ['/messages', 'Messages'],
      ['/held', 'Quarantine'],
    ],
  },
  {
    title: 'Policy',
    sections: [
      ['/rules', 'Rules'],
      ['/filters', 'Filters'],
      ['/domains', 'Domains'],
    ],
  },
  {
    title: 'Service',
    sections: [
      ['/reports', 'Reports'],
      ['/system', 'System'],
    ],
  },
] as const

/** Beside the page where there is room; elsewhere it opens under a button, which needs no script: `.menu:not([open])` hides what follows it. */
export function navigation(current: Section | 'none'): Html {
  return html`<details class="menu"><summary>Menu</summary></details>
<nav class="pages-nav" aria-label="Pages">${groups.map(
    ({ title, sections }) => html`
  <p id="nav-${title}">${title}</p>
  <ul aria-labelledby="nav-${title}">${sections.map(
    ([path, name]) => html`
    <li><a href="${path}"${current === path && html` aria-current="page"`}>${name}</a></li>`,
  )}
  </ul>`,
  )}
</nav>`
}
