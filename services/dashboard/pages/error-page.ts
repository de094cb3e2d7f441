import { html } from '../../../shared/html.ts'
import type { Page } from './layout.ts'

export function errorPage(title: string, text: string, at: number): Page {
  return {
    title,
    section: 'none',
    at,
    still: true,
    main: html`<div class="headline"><h1>${title}</h1></div><p>${text}</p>`,
  }
}

/** An operator asked for something that cannot be done as things are, or that he may not do. */
export function actionFailedPage(
  { action, detail, page }: { readonly action: string; readonly detail: string; readonly page: string },
  at: number,
): Page {
  return {
    title: 'Nothing was done',
    section: 'none',
    at,
    still: true,
    main: html`<div class="headline"><h1>Nothing was done</h1><p class="quiet-text">${action}</p></div>
<p>${detail}</p><p><a href="${page}">Back</a></p>`,
  }
}
