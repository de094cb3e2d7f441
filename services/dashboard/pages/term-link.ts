import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import { searchLink } from './found-table.ts'

/**
 * Something that messages have in common, with a way to all of them; what has a quotation mark cannot be said in a search, and is text.
 * @param more of the search, behind the term
 */
export function termLink(field: 'from' | 'to' | 'user' | 'client' | 'domain' | 'text', value: string, more = ''): Html {
  if (value.includes('"')) return html`<span class="address">${value}</span>`
  const term = /^[^\s,]+$/.test(value) && field !== 'text' ? value : `"${value}"`
  return html`<a class="address" href="${searchLink('/messages', `${field}:${term} ${more}`.trim())}">${value}</a>`
}
