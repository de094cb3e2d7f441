import { formatDuration } from '../../../shared/report/units.ts'
import type { QueueView } from '../../../shared/report/views.ts'
import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import type { ListenerView } from '../source.ts'
import type { Tone } from './parts.ts'

/**
 * The way of the mail, drawn: listeners, queues, ends. Two lanes for the two ways every Sluice has, one for queues of the
 * operator's own. Without numbers (Redis away) the picture stays, and says so.
 */
export function pipelineDrawing(listeners: readonly ListenerView[], queues: readonly QueueView[]): Html {
  const byName = new Map(queues.map((queue) => [queue.name, queue]))
  const take = (name: string): QueueView | string => byName.get(name) ?? name
  const others = queues.filter((queue) => !['filter', 'sign', 'deliver', 'relay'].includes(queue.name))
  return html`<div class="lanes">
${lane('Inbound', portsOf(listeners, 'mta'), [take('filter'), take('deliver')], 'Mailboxes', 'LMTP, Maildir')}
${lane('Outbound', portsOf(listeners, 'submission'), [take('sign'), take('relay')], 'Internet', 'MX, smarthost')}
${others.length > 0 && html`<section class="lane others" aria-label="Further stages"><h3>Further stages</h3><ol class="stages">${others.map((queue) => html`<li class="stage">${stage(queue)}</li>`)}</ol></section>`}
</div>`
}

function lane(
  name: string,
  ports: readonly string[],
  stages: readonly (QueueView | string)[],
  end: string,
  endText: string,
): Html {
  return html`<section class="lane" aria-label="${name} mail"><ol class="way">
<li class="port"><strong>${name}</strong>${ports.map((port) => html`<small>${port}</small>`)}</li>
${stages.map((queue) => html`${arrow}<li class="stage">${stage(queue)}</li>`)}
${arrow}<li class="port end"><strong>${end}</strong><small>${endText}</small></li>
</ol></section>`
}

const arrow = html`<li class="arrow" aria-hidden="true"><svg viewBox="0 0 40 16" preserveAspectRatio="none" width="40" height="16"><path d="M1 8h37" /><path d="M33 3l6 5-6 5" /></svg></li>`

function stage(queue: QueueView | string): Html {
  if (typeof queue === 'string')
    return html`<div class="card" data-tone="plain"><h3>${queue}</h3><p class="big">–</p><p class="quiet-text">unknown</p></div>`
  return html`<a class="card" data-tone="${toneOf(queue)}" href="/queues/${queue.name}">
<h3>${queue.name}${queue.paused && html` <span class="badge" data-tone="waiting">paused</span>`}</h3>
<p class="big"><span class="num">${queue.waiting}</span> <small>waiting</small></p>
<dl class="counts">
<div><dt>active</dt><dd>${queue.active}</dd></div>
<div><dt>delayed</dt><dd${queue.delayed > 0 && html` data-tone="waiting"`}>${queue.delayed}</dd></div>
<div><dt>held</dt><dd${queue.held > 0 && html` data-tone="bad"`}>${queue.held}</dd></div>
<div><dt>oldest</dt><dd>${queue.oldestAgeMs === undefined ? '–' : formatDuration(queue.oldestAgeMs)}</dd></div>
</dl></a>`
}

const slowAfterMs = 15 * 60_000

/** `bad`: an operator must look; `waiting`: it is slower than it should be; `good`: it works; `plain`: nothing to do. */
export function toneOf(queue: QueueView): Tone {
  if (queue.held > 0) return 'bad'
  if (queue.paused || queue.delayed > 0 || (queue.oldestAgeMs ?? 0) > slowAfterMs) return 'waiting'
  return queue.active + queue.waiting > 0 ? 'good' : 'plain'
}

function portsOf(listeners: readonly ListenerView[], purpose: ListenerView['purpose']): readonly string[] {
  const tls = { none: '', offered: ' STARTTLS', required: ' STARTTLS', implicit: ' TLS' } as const
  return listeners.filter((one) => one.purpose === purpose).map((one) => `${one.address}${tls[one.tls]}`)
}
