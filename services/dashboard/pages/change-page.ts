import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import { isOpen } from '../../../shared/report/message-view.ts'
import type { MessageView } from '../../../shared/report/views.ts'
import type { Visitor } from '../visitor.ts'
import type { Page } from './layout.ts'
import { formTokenField } from './parts.ts'
import { neededField, wayFields } from './way-fields.ts'

/** Where the copies of a message go from now on, and what becomes of one of them alone. */
export function changePage(message: MessageView, actions: readonly string[], visitor: Visitor, at: number): Page {
  const path = `/messages/${message.id}`
  const open = message.jobs.kind === 'away' ? [] : message.jobs.value.filter(isOpen)
  const waiting = [...new Set(open.flatMap((job) => job.to))]
  const main = html`<div class="headline"><h1>Change <span class="id">${message.id}</span></h1><p><a href="${path}">Back to the message</a></p></div>
${waiting.length > 0 && waitingForms({ path, waiting, actions, visitor })}
${replayForm(message, visitor)}`
  return { title: 'Change a message', section: 'none', at, main, still: true }
}

interface Waiting {
  readonly path: string
  /** Whose copies wait. */
  readonly waiting: readonly string[]
  readonly actions: readonly string[]
  readonly visitor: Visitor
}

function waitingForms({ path, waiting, actions, visitor }: Waiting): Html {
  return html`<section aria-labelledby="reroute"><h2 id="reroute">Relay it by way of another host</h2>
<p class="quiet-text">The queues before its relay stay on its way; attempts and expiry count from its acceptance. It holds until it is undone.</p>
<form class="ask" action="${path}/reroute" method="post">${formTokenField(visitor)}
${wayFields(actions)}
${recipientField('recipient', 'For', waiting, true)}
<button class="primary">Reroute</button></form></section>
<section aria-labelledby="readdress"><h2 id="readdress">Give a copy another address</h2>
<p class="quiet-text">The rules say where it goes; reports to its sender name the address he wrote.</p>
<form class="ask" action="${path}/readdress" method="post">${formTokenField(visitor)}
${recipientField('from', 'The copy for', waiting, false)}
${neededField('to', 'goes to', 'jane@example.org')}
<button class="primary">Change address</button></form></section>
<section aria-labelledby="one"><h2 id="one">One copy alone</h2>
<p class="quiet-text">The others go on. What is removed cannot be had back; what is returned comes back to its sender with a report.</p>
<form class="ask" action="${path}/hold" method="post">${formTokenField(visitor)}
${recipientField('recipient', 'The copy for', waiting, false)}
<div class="actions"><button>Hold</button><button formaction="${path}/release">Release</button><button formaction="${path}/expire" data-tone="bad">Return to sender</button><button formaction="${path}/remove" data-tone="bad">Remove</button></div></form></section>`
}

function replayForm({ id, recipients, jobs, queues }: MessageView, visitor: Visitor): Html {
  const known = jobs.kind === 'away' ? [] : jobs.value
  const passed = [
    ...new Set([
      ...queues,
      ...known.flatMap((job) => job.path),
      ...known.filter((job) => !isOpen(job)).map(({ queue }) => queue),
    ]),
  ]
  const mailboxes = recipients.map(({ mailbox }) => mailbox)
  return html`<section aria-labelledby="replay"><h2 id="replay">Let it go again</h2>
<p class="quiet-text">From its beginning or a queue it passed, with its octets, tags and header edits as they were there. A copy that waits is moved back; one that has come to its end goes as a new message.</p>
<form class="ask" action="/messages/${id}/replay" method="post">${formTokenField(visitor)}
<label>From<select name="from"><option value="">its beginning</option>${passed.map((queue) => html`<option>${queue}</option>`)}</select></label>
${recipientField('recipient', 'For', mailboxes, true)}
<label class="check"><input type="checkbox" name="again" value="yes"> also for those who have it already</label>
<div class="actions"><button class="primary">Send again</button><button formmethod="get">Try it, send nothing</button></div></form>
<form class="ask" action="/messages/${id}/replay" method="post">${formTokenField(visitor)}
<label>A copy from<select name="from"><option value="">its beginning</option>${passed.map((queue) => html`<option>${queue}</option>`)}</select></label>
${neededField('to', 'for another address', 'jane@example.org')}
<button>Send a copy</button></form></section>`
}

function recipientField(name: string, label: string, mailboxes: readonly string[], all: boolean): Html {
  return html`<label>${label}<select name="${name}">${all && html`<option value="">all</option>`}${mailboxes.map((mailbox) => html`<option>${mailbox}</option>`)}</select></label>`
}
