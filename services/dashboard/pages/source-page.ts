import { html } from '../../../shared/html.ts'
import { formatSize } from '../../../shared/report/units.ts'
import type { PreviewPart } from '../preview.ts'
import type { Page } from './layout.ts'
import { dataTable } from './parts.ts'

export interface SourceLook {
  /** Its beginning, as it was received. */
  readonly raw: Buffer
  readonly sizeBytes: number
  readonly parts: readonly PreviewPart[]
}

/** A message octet by octet, as text: what is not ASCII is written as the octets it is. */
export function sourcePage(id: string, { raw, sizeBytes, parts }: SourceLook, at: number): Page {
  const main = html`<div class="headline"><h1>Source of <span class="id">${id}</span></h1><p class="quiet-text">As it was received, ${formatSize(sizeBytes)}; header edits are on the page of <a href="/messages/${id}">the message</a>. <a href="/messages/${id}/preview">Preview</a></p></div>
<div class="actions"><a class="button" href="/messages/${id}/source.eml" download>Download whole</a></div>
${
  parts.length > 0 &&
  html`<section aria-labelledby="parts"><h2 id="parts">Parts</h2>${dataTable(
    'Parts of the message, in order',
    [
      { title: 'Type', cell: ({ type }) => html`<code>${type}</code>` },
      { title: 'Ending of its file name', cell: ({ extension }) => extension },
    ],
    parts,
  )}</section>`
}
<section aria-labelledby="raw"><h2 id="raw">Source</h2><pre class="letter octets" tabindex="0">${textOf(raw)}</pre>
${raw.length < sizeBytes && html`<p class="quiet-text">The rest is not shown.</p>`}</section>`
  return { title: 'Source', section: 'none', at, main, still: true }
}

/** UTF-8 where it is; otherwise `\xe4`. */
function textOf(raw: Buffer): string {
  const text = raw.toString('utf8').replaceAll('\r\n', '\n')
  if (!text.includes('\ufffd')) return text
  return raw
    .toString('latin1')
    .replaceAll('\r\n', '\n')
    .replaceAll(/[\u0080-\u00ff]/g, (octet) => `\\x${octet.charCodeAt(0).toString(16)}`)
}
