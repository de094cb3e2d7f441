import { formatDuration, formatSecond } from '../../../shared/report/units.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { Visitor } from '../visitor.ts'

export type Tone = 'good' | 'waiting' | 'bad' | 'plain'

/** A word in a tinted box. The word says all; the tint only helps. */
export function badge(tone: Tone, text: string): Html {
  return html`<span class="badge" data-tone="${tone}">${text}</span>`
}

/** A box with one message across the page. */
export function notice(tone: Tone, title: string, text: HtmlValue): Html {
  return html`<p class="notice" data-tone="${tone}"><strong>${title}</strong> ${text}</p>`
}

/** Says once that Redis is away, however the reason puts it. @param more of what that means for the page */
export function redisAway(reason: string, more?: string): Html {
  const why = reason.replace(/^Redis is away\b[.:;]?\s*|\.+$/g, '')
  return notice('bad', 'Redis is away.', [why === '' ? '' : `${why}. `, more])
}

/** How long ago, with the instant as its title. */
export function ago(at: number, nowAt: number): Html {
  return html`<time datetime="${new Date(at).toISOString()}" title="${formatSecond(at)}">${formatDuration(Math.max(0, nowAt - at))}</time>`
}

/** In how long, with the instant as its title. */
export function ahead(at: number, nowAt: number): Html {
  const text = at <= nowAt ? 'due' : `in ${formatDuration(at - nowAt)}`
  return html`<time datetime="${new Date(at).toISOString()}" title="${formatSecond(at)}">${text}</time>`
}

export interface Column<Row> {
  readonly title: string
  readonly numeric?: boolean
  cell(row: Row): HtmlValue
}

/** A table that becomes a list of cards at phone width: each cell repeats its column's title there. */
export function dataTable<Row>(caption: string, columns: readonly Column<Row>[], rows: readonly Row[]): Html {
  return html`<div class="scroll"><table>
<caption class="quiet">${caption}</caption>
<thead><tr>${columns.map((column) => html`<th scope="col"${column.numeric === true && html` class="num"`}>${column.title}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) => html`
${dataRow(columns, row)}`,
  )}
</tbody></table></div>`
}

/** One row of such a table. */
export function dataRow<Row>(columns: readonly Column<Row>[], row: Row): Html {
  return html`<tr>${columns.map((column) => tableCell(column, row))}</tr>`
}

function tableCell<Row>(column: Column<Row>, row: Row): Html {
  const content = html`${column.cell(row)}`
  const classes = [column.numeric === true ? 'num' : '', content.text === '' ? 'none' : ''].filter(Boolean).join(' ')
  return html`<td data-label="${column.title}"${classes !== '' && html` class="${classes}"`}><div>${content}</div></td>`
}

/** In every form that changes something. */
export function formTokenField({ formToken }: Visitor): Html {
  return html`<input type="hidden" name="token" value="${formToken}">`
}
