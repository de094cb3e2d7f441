import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { plural } from '../../../shared/report/units.ts'
import type { JobView } from '../../../shared/report/views.ts'
import type { Visitor } from '../visitor.ts'
import { jobTable } from './job-table.ts'
import type { Page } from './layout.ts'
import { formTokenField, notice } from './parts.ts'

/** What can be done to held messages that were chosen; paths as those of one message. */
export const heldActions = ['release', 'release-ham', 'block', 'remove'] as const

export type HeldAction = (typeof heldActions)[number]

/** What was done a moment ago. */
export interface DoneBefore {
  readonly done: HeldAction
  readonly messages: number
}

export interface ChosenLook {
  readonly action: HeldAction
  /** Those that are held. */
  readonly chosen: readonly JobView[]
  /** So many messages were chosen. */
  readonly asked: number
  readonly before: DoneBefore | undefined
  readonly visitor: Visitor
}

interface Words {
  readonly title: string
  readonly button: string
  readonly does: string
  readonly done: string
}

const words: Readonly<Record<HeldAction, Words>> = {
  release: {
    title: 'Release',
    button: 'Release',
    does: 'What is released goes on to its recipients as it is, past the filter that kept it back.',
    done: 'released',
  },
  'release-ham': {
    title: 'Release and learn',
    button: 'Release and learn as wanted',
    does: 'What is released goes on to its recipients as it is, and the classifier learns that such mail is wanted.',
    done: 'released and learned as wanted; the audit log tells what was learned of each',
  },
  block: {
    title: 'Block senders',
    button: 'Block their senders',
    does: 'Mail from a sender to the recipients of his message is refused from now on ("sluicectl block list" tells them, "block remove" takes it back). What is held stays here.',
    done: 'whose senders are blocked from now on',
  },
  remove: {
    title: 'Remove',
    button: 'Remove',
    does: 'Nothing is delivered, nothing is reported to a sender, and what is removed cannot be had back.',
    done: 'removed',
  },
}

/** Asks before what is done to held messages that were chosen. */
export function chosenPage(look: ChosenLook, at: number): Page {
  const { action, chosen, asked, before, visitor } = look
  const { title, button, does } = words[action]
  const viruses = action.startsWith('release') ? chosen.filter(isVirus) : []
  const meant = chosen.filter((job) => !viruses.includes(job))
  const ids = [...new Set(meant.map(({ id }) => id))]
  const gone = asked - new Set(chosen.map(({ id }) => id)).size
  const main = html`<div class="headline"><h1>${title}: ${plural(ids.length, 'message')}</h1></div>
${heldDoneNotice(before)}
${before !== undefined && notice('bad', 'Some could not be done.', 'The audit log says why.')}
${gone > 0 && notice('waiting', `${plural(gone, 'message')} not among them:`, 'no longer held, or not among the first that are.')}
${viruses.length > 0 && notice('bad', `${plural(viruses.length, 'message')} with a virus left out:`, html`each is released on its own page. ${viruses.map(({ id }) => html`<a class="id" href="/messages/${id}">${id}</a> `)}`)}
${
  ids.length === 0
    ? html`<p class="empty">None is chosen.</p>`
    : html`<p>${does}</p>
${jobTable('Messages that were chosen', meant, at, { message: true })}`
}
<div class="actions">${ids.length > 0 && html`<form action="/held/${action}" method="post">${formTokenField(visitor)}${ids.map((id) => html`<input type="hidden" name="id" value="${id}">`)}<button class="primary"${action === 'remove' && html` data-tone="bad"`}>${button}</button></form>`}
<a class="button" href="/held">${ids.length === 0 ? 'Back' : 'Cancel'}</a></div>`
  return { title: `${title}: held messages`, section: '/held', at, main, still: true }
}

/** What the form that led here did. */
export function heldDoneNotice(before: DoneBefore | undefined): HtmlValue {
  if (before === undefined) return undefined
  return notice('plain', 'Done:', `${plural(before.messages, 'message')} ${words[before.done].done}.`)
}

/** Under the table of what is held: the checkboxes in its rows belong to this form. */
export function chosenForm(): Html {
  return html`<form id="chosen" class="actions" method="get" aria-label="Do to those that are chosen">${heldActions.map(
    (action) => html`
<button formaction="/held/${action}"${action === 'remove' && html` data-tone="bad"`}>${words[action].button}…</button>`,
  )}</form>`
}

export function isVirus({ quarantine }: JobView): boolean {
  return quarantine === 'virus'
}
