import { html } from '../../../shared/html.ts'
import type { MessageId } from '../../../shared/mail/message-id.ts'
import type { TrialRequest, TrialStep } from '../../../shared/operate/try-replay.ts'
import { plural } from '../../../shared/report/units.ts'
import type { Visitor } from '../visitor.ts'
import type { Page } from './layout.ts'
import { dataTable, formTokenField } from './parts.ts'

/** What rules and stages would decide about a message now, beside what they did, and the button that lets it go. */
export function trialPage(
  id: MessageId,
  { from, recipient, steps }: TrialRequest & { readonly steps: readonly TrialStep[] },
  visitor: Visitor,
  at: number,
): Page {
  const differing = steps.filter(({ differs }) => differs).length
  const main = html`<div class="headline"><h1>Replay of <span class="id">${id}</span>, tried</h1><p><a href="/messages/${id}/change#replay">Back</a></p></div>
<p>From ${from ?? 'its beginning'}${recipient !== undefined && html`, for ${recipient}`}; nothing was sent. ${differing === 0 ? 'No decision that is known would be another.' : html`<strong>${plural(differing, 'decision')} would be another.</strong>`}</p>
${dataTable<TrialStep>(
  'Decisions, now and then',
  [
    { title: 'By', cell: ({ queue = 'rules' }) => queue },
    { title: 'For', cell: ({ to }) => to.join(', ') },
    { title: 'Now', cell: ({ now, differs }) => (differs ? html`<strong>${now}</strong>` : now) },
    { title: 'Then', cell: ({ before = 'not known' }) => before },
  ],
  steps,
)}
<form class="ask" action="/messages/${id}/replay" method="post">${formTokenField(visitor)}
${from !== undefined && html`<input type="hidden" name="from" value="${from}">`}
${recipient !== undefined && html`<input type="hidden" name="recipient" value="${recipient}">`}
<label class="check"><input type="checkbox" name="again" value="yes"> also for those who have it already</label>
<button class="primary">Send again</button></form>`
  return { title: 'A replay, tried', section: 'none', at, main, still: true }
}
