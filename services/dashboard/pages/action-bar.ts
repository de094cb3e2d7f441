import { describeLimit } from '../../../shared/operate/queue-limits.ts'
import { formatSecond } from '../../../shared/report/units.ts'
import { isOpen } from '../../../shared/report/message-view.ts'
import type { MessageView, QueueView } from '../../../shared/report/views.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { mayPreview } from '../visitor.ts'
import type { Visitor } from '../visitor.ts'
import type { Page } from './layout.ts'
import { formTokenField, notice } from './parts.ts'

/** What can be done with a message as it is now; nothing for those who may not. */
export function messageActionBar(message: MessageView, visitor: Visitor): HtmlValue {
  if (message.jobs.kind === 'away') return undefined
  const open = message.jobs.value.filter(isOpen)
  const path = `/messages/${message.id}`
  if (open.length === 0) return endedActionBar(message, visitor)
  const preview = mayPreview(visitor) && contentLinks(message)
  if (!visitor.acts) return preview && html`<div class="actions">${preview}</div>`
  const isHeld = open.some((job) => job.state === 'held')
  const isQuarantined = open.some((job) => job.quarantine !== undefined)
  return html`<div class="actions" role="group" aria-label="Actions">
${preview}
${open.some((job) => job.state === 'delayed') && button(`${path}/schedule`, 'Try now', visitor)}
${isHeld && !isQuarantined && button(`${path}/release`, 'Release', visitor)}
${isQuarantined && html`<a class="button" href="${path}/release">Release…</a>`}
${open.some((job) => job.state !== 'held') && button(`${path}/hold`, 'Hold', visitor)}
${isQuarantined && message.from !== null && button(`${path}/block`, 'Block sender', visitor)}
<a class="button" href="${path}/change">Change…</a>
<a class="button" data-tone="bad" href="${path}/remove">Remove…</a>
</div>`
}

function contentLinks({ id }: MessageView): Html {
  return html`<a class="button" href="/messages/${id}/preview">Preview</a><a class="button" href="/messages/${id}/source">Source</a>`
}

/** While it is in the spool it can be sent again. */
function endedActionBar(message: MessageView, visitor: Visitor): HtmlValue {
  const { id, knownFrom } = message
  const content = mayPreview(visitor) && contentLinks(message)
  const again = visitor.acts && html`<a class="button" href="/messages/${id}/change">Send again…</a>`
  if (knownFrom === 'journal' || (content === false && again === false)) return undefined
  return html`<div class="actions" role="group" aria-label="Actions">${content}${again}</div>`
}

export function queueActionBar(name: string, view: QueueView | undefined, visitor: Visitor): HtmlValue {
  if (!visitor.acts || view === undefined) return undefined
  const path = `/queues/${name}`
  return html`<div class="actions" role="group" aria-label="Actions">
${pauseButton(view, visitor)}
${view.delayed > 0 && button(`${path}/schedule`, 'Try all delayed now', visitor)}
</div>
${limitForm(view, visitor)}`
}

function limitForm({ name, limit }: QueueView, visitor: Visitor): Html {
  const { rate, concurrency } = limit ?? {}
  return html`<form class="ask" action="/queues/${name}/limit" method="post" aria-label="Limit">${formTokenField(visitor)}
<label>Rate, over all workers <input name="rate" size="8" placeholder="50/s" value="${rate === undefined ? '' : describeLimit({ rate })}"></label>
<label>At a time, over all workers <input name="concurrency" size="5" inputmode="numeric" placeholder="4" value="${concurrency ?? ''}"></label>
<button id="queues-${name}-limit">Limit</button></form>
${limit !== undefined && html`<div class="actions"><form action="/queues/${name}/limit" method="post">${formTokenField(visitor)}<input type="hidden" name="rate" value="off"><button id="queues-${name}-unlimit">Lift the limit</button></form></div>`}`
}

/** What an operator set, and who. */
export function limitText(limit: QueueView['limit']): HtmlValue {
  if (limit === undefined) return undefined
  return html`Limited to ${describeLimit(limit)}, over all workers, by ${limit.by}, ${formatSecond(limit.at)}.`
}

export function pauseButton({ name, paused }: QueueView, visitor: Visitor): Html {
  const [path, about] = [`/queues/${name}`, html`<span class="quiet"> queue ${name}</span>`]
  return paused
    ? button(`${path}/resume`, html`Resume${about}`, visitor)
    : button(`${path}/pause`, html`Pause${about}`, visitor)
}

function button(action: string, label: HtmlValue, visitor: Visitor): Html {
  return html`<form action="${action}" method="post">${formTokenField(visitor)}<button id="${action.slice(1).replaceAll('/', '-')}">${label}</button></form>`
}

const doneTexts: ReadonlyMap<string, string> = new Map([
  ['pause', 'The queue is paused. Mail goes on coming in and waits.'],
  ['resume', 'The queue is running.'],
  ['limit', 'What is said here holds from now on.'],
  ['schedule', 'What was delayed is tried now.'],
  ['hold', 'The message is held until somebody releases it.'],
  ['release', 'The message is on its way again.'],
  ['release-ham', 'The message is on its way again; the audit log tells whether it was learned.'],
  ['block', 'Mail from its sender to its recipients is refused from now on.'],
  ['remove', 'The message is removed.'],
  ['expire', 'What was asked for goes back to its sender.'],
  ['reroute', 'It is relayed where you said; what a worker has just now follows after its attempt.'],
  ['readdress', 'The copy has its new address.'],
  ['replay', 'It goes again; the audit log tells who gets it.'],
])

/** What the form that led here did. */
export function doneNotice(done: string | undefined): HtmlValue {
  if (done === 'goes-on')
    return notice('plain', 'Under way.', 'It goes on by itself: this page tells what is left, the audit log the end.')
  const text = doneTexts.get(done ?? '')
  return text === undefined ? undefined : notice('plain', 'Done.', text)
}

/** Asks before what cannot be taken back. */
export function confirmPage(message: MessageView, kind: 'remove' | 'release', visitor: Visitor, at: number): Page {
  const path = `/messages/${message.id}`
  const open = message.jobs.kind === 'away' ? [] : message.jobs.value.filter(isOpen)
  const reasons = open.flatMap((job) => job.reason ?? [])
  const question =
    kind === 'remove'
      ? 'Remove this message? Nothing is delivered, nothing is reported to its sender, and it cannot be had back.'
      : 'Release this message? It goes on to its recipients as it is, past the filter that kept it back.'
  const main = html`<div class="headline"><h1>${kind === 'remove' ? 'Remove' : 'Release'} <span class="id">${message.id}</span></h1></div>
<p>${question}</p>
<dl class="facts"><div><dt>From</dt><dd class="address">${message.from ?? '<>'}</dd></div>
<div><dt>To</dt><dd>${message.recipients.map(({ mailbox }) => html`<span class="address">${mailbox}</span> `)}</dd></div>
${reasons.length > 0 && html`<div><dt>Held because</dt><dd>${reasons.join('; ')}</dd></div>`}</dl>
<div class="actions"><form action="${path}/${kind}" method="post">${formTokenField(visitor)}<button class="primary"${kind === 'remove' && html` data-tone="bad"`}>${kind === 'remove' ? 'Remove' : 'Release'}</button></form>
${kind === 'release' && html`<form action="${path}/release-ham" method="post">${formTokenField(visitor)}<button>Release and learn as wanted</button></form>`}
<a class="button" href="${path}">Cancel</a></div>`
  return { title: kind === 'remove' ? 'Remove a message' : 'Release a message', section: 'none', at, main, still: true }
}
