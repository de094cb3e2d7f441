import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { layout } from './layout.ts'

export function errorPage(title: string, text: string, at: number): Html {
  return layout({
    title,
    section: 'none',
    at,
    main: html`<div class="headline"><h1>${title}</h1></div><p>${text}</p>`,
  })
}
