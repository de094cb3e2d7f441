import { html } from '../html.ts'
import type { Page } from './layout.ts'

export function errorPage(title: string, text: string, at: number): Page {
  return {
    title,
    section: 'none',
    at,
    main: html`<div class="headline"><h1>${title}</h1></div><p>${text}</p>`,
  }
}
