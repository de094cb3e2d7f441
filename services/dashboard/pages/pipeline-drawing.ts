import type { QueueFlow } from '../../../shared/report/flow.ts'
import { describeLimit } from '../../../shared/operate/queue-limits.ts'
import { defaultTargetMs, isBehind } from '../../../shared/report/queue-health.ts'
import { formatDuration, formatRate, plural } from '../../../shared/report/units.ts'
import type { QueueView } from '../../../shared/report/views.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { ListenerView, Overview } from '../source.ts'
import type { Tone } from './parts.ts'
import { rateChart } from './rate-chart.ts'

/** A queue as it is drawn; without numbers while Redis is away. */
interface Stage {
  readonly name: string
  readonly queue?: QueueView
  readonly flow?: QueueFlow
  readonly targetMs: number
}

/**
 * The way of the mail, drawn: listeners, queues, ends, with what moves on each arrow. Two lanes for the two ways every Sluice has, one for
 * queues of the operator's own. Without numbers (Redis away) the picture stays, and says so. It is a list of lists, to be read in its order.
 */
export function pipelineDrawing({ listeners, queues, flows, targetsMs }: Overview): Html {
  const seen = queues.kind === 'seen' ? queues.value : []
  const byName = new Map(seen.map((queue) => [queue.name, queue]))
  const stage = (name: string): Stage => {
    const [queue, flow] = [byName.get(name), flows.get(name)]
    const targetMs = targetsMs.get(name) ?? defaultTargetMs
    return { name, targetMs, ...(queue === undefined ? {} : { queue }), ...(flow === undefined ? {} : { flow }) }
  }
  const others = seen.filter((queue) => !['filter', 'sign', 'deliver', 'relay'].includes(queue.name))
  return html`<div class="lanes">
${lane('Inbound', portsOf(listeners, 'mta'), [stage('filter'), stage('deliver')], 'Mailboxes', 'LMTP, Maildir')}
${lane('Outbound', portsOf(listeners, 'submission'), [stage('sign'), stage('relay')], 'Internet', 'MX, smarthost')}
${others.length > 0 && html`<section class="lane others" aria-label="Further stages"><h3>Further stages</h3><ol class="stages">${others.map((queue) => html`<li class="stage">${card(stage(queue.name))}</li>`)}</ol></section>`}
</div>`
}

function lane(name: string, ports: readonly string[], stages: readonly Stage[], end: string, endText: string): Html {
  const last = stages.at(-1)
  return html`<section class="lane" aria-label="${name} mail"><ol class="way">
<li class="port"><strong>${name}</strong>${ports.map((port) => html`<small>${port}</small>`)}</li>
${stages.map((stage) => html`${arrow(`into ${stage.name}`, stage.flow?.inPerSecond)}<li class="stage">${card(stage)}</li>`)}
${arrow(`out of ${last?.name ?? ''}`, last?.flow?.outPerSecond)}<li class="port end"><strong>${end}</strong><small>${endText}</small></li>
</ol></section>`
}

/** How much goes along it in the last minute; it stands out when something does. */
function arrow(what: string, perSecond: number | undefined): Html {
  const tone = perSecond === undefined || perSecond === 0 ? 'plain' : 'good'
  return html`<li class="arrow" data-tone="${tone}"><span class="rate">${perSecond === undefined ? html`<span class="quiet">${what}: unknown</span>` : html`${formatRate(perSecond)}<span class="quiet"> ${what}</span>`}</span><svg viewBox="0 0 40 16" preserveAspectRatio="none" width="40" height="16" aria-hidden="true"><path d="M1 8h37" /><path d="M33 3l6 5-6 5" /></svg></li>`
}

function card(stage: Stage): Html {
  const { name, queue, flow, targetMs } = stage
  if (queue === undefined)
    return html`<div class="card" data-tone="plain"><h3>${name}</h3><p class="big">–</p><p class="quiet-text">unknown</p></div>`
  const late = isBehind(queue, targetMs)
  return html`<a class="card" data-tone="${toneOf(queue, targetMs)}" href="/queues/${name}">
<h3>${name}${queue.paused && html` <span class="badge" data-tone="waiting">paused</span>`}${queue.limit !== undefined && html` <span class="badge" data-tone="waiting">${describeLimit(queue.limit)}</span>`}${late && html` <span class="badge" data-tone="bad">late</span>`}</h3>
<p class="big"><span class="num">${queue.waiting}</span> <small>waiting</small></p>
${flow !== undefined && rateChart(flow.incoming)}
<dl class="counts">
<div><dt>active</dt><dd>${queue.active}</dd></div>
<div><dt>delayed</dt><dd${queue.delayed > 0 && html` data-tone="waiting"`}>${queue.delayed}</dd></div>
<div><dt>held</dt><dd${queue.held > 0 && html` data-tone="waiting"`}>${queue.held}${queue.heldAtLeast === true && '+'}</dd></div>
<div><dt>oldest</dt><dd${late && html` data-tone="bad"`}>${queue.oldestAgeMs === undefined ? '–' : formatDuration(queue.oldestAgeMs)}</dd></div>
<div><dt>95 % within</dt><dd>${flow?.p95Ms === undefined ? '–' : formatDuration(flow.p95Ms)}</dd></div>
<div><dt>workers</dt><dd${flow?.processes === 0 && html` data-tone="bad"`}>${workers(flow)}</dd></div>
</dl></a>`
}

/** `3 of 8 busy` */
export function workers(flow: QueueFlow | undefined): HtmlValue {
  if (flow === undefined) return '–'
  if (flow.processes === 0) return 'none'
  return html`<span title="in ${plural(flow.processes, 'process', 'processes')}">${flow.busy} of ${flow.handlers}</span>`
}

/** `bad`: it breaks its target; `waiting`: something in it waits for a time or for a person; `good`: it works; `plain`: nothing to do. */
export function toneOf(queue: QueueView, targetMs: number): Tone {
  if (isBehind(queue, targetMs)) return 'bad'
  if (queue.paused || queue.delayed + queue.held > 0) return 'waiting'
  return queue.active + queue.waiting > 0 ? 'good' : 'plain'
}

function portsOf(listeners: readonly ListenerView[], purpose: ListenerView['purpose']): readonly string[] {
  const tls = { none: '', offered: ' STARTTLS', required: ' STARTTLS', implicit: ' TLS' } as const
  return listeners.filter((one) => one.purpose === purpose).map((one) => `${one.address}${tls[one.tls]}`)
}
