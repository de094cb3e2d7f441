import { isOpen } from '../../../shared/report/message-view.ts'
import { formatInstant, formatSecond, formatSize, plural } from '../../../shared/report/units.ts'
import type { StoryLine } from '../../../shared/report/story.ts'
import type { AuthenticationResult, FilterVerdict, TestResult } from '../../../shared/report/verdicts.ts'
import type { MessageView, OriginField, RecipientView } from '../../../shared/report/views.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { Visitor } from '../visitor.ts'
import { doneNotice, messageActionBar } from './action-bar.ts'
import { jobTable } from './job-table.ts'
import type { Page } from './layout.ts'
import { ahead, badge, dataTable, notice, redisAway } from './parts.ts'
import type { Tone } from './parts.ts'
import { termLink } from './term-link.ts'

export interface MessageLook {
  readonly visitor: Visitor
  /** The action that led here. */
  readonly done?: string | undefined
}

/** One message: who to whom, where each copy is, and its story. */
export function messagePage(message: MessageView, look: MessageLook, at: number): Page {
  const { visitor, done } = look
  const subject = message.origin.find(({ name }) => name === 'subject')
  const main = html`<div class="headline"><h1 class="id">${message.id}</h1>
${subject !== undefined && html`<p>${subject.value}</p>`}
<p>${message.from === null ? html`<span class="address">&lt;&gt;</span>` : termLink('from', message.from)} to ${plural(message.recipients.length, 'recipient')}${message.sizeBytes !== undefined && html`, ${formatSize(message.sizeBytes)}`}, accepted ${formatSecond(message.acceptedAt)} ${message.tags.map((tag) => html`<a href="/tags/${encodeURIComponent(tag)}">${badge('plain', tag)}</a> `)}</p></div>
${doneNotice(done)}
${messageActionBar(message, visitor)}
${message.knownFrom === 'journal' && notice('plain', 'It has left the spool.', 'What follows is from the journal.')}
${message.jobs.kind === 'away' && redisAway(message.jobs.reason, 'Where the message waits is not shown.')}
<section aria-labelledby="recipients"><h2 id="recipients">Recipients</h2>${recipientTable(message.recipients, at)}</section>
<section aria-labelledby="story"><h2 id="story">Story</h2>${story(message, at)}</section>
${talk(message)}
${jobs(message, at)}
${message.verdicts.map((verdict, index) => verdictSection(verdict, index))}
<div class="columns">
<section aria-labelledby="origin"><h2 id="origin">Origin</h2>${origin(message)}</section>
<section aria-labelledby="edits"><h2 id="edits">Header edits</h2>${headerEdits(message)}</section>
</div>`
  return { title: message.id, section: 'none', at, main }
}

/** For an id nothing is known about, and for what is not an id. */
export function messageNotFoundPage(given: string, at: number): Page {
  const main = html`<div class="headline"><h1>No such message</h1></div>
<p>Nothing is known under <code>${given}</code>. The id is the 18 characters the 250 reply ended with; the story of a message is kept for some time after it is done.</p>`
  return { title: 'No such message', section: 'none', at, main }
}

const recipientTones = {
  delivered: 'good',
  relayed: 'good',
  failed: 'bad',
  discarded: 'bad',
  removed: 'bad',
  held: 'bad',
  delayed: 'waiting',
  active: 'plain',
  waiting: 'plain',
  accepted: 'plain',
} as const satisfies Record<RecipientView['state'], Tone>

function recipientTable(recipients: readonly RecipientView[], at: number): Html {
  return dataTable(
    'Recipients and the state of their copies',
    [
      { title: 'Recipient', cell: recipientAddress },
      { title: 'State', cell: (recipient) => badge(recipientTones[recipient.state], recipient.state) },
      { title: 'Reply or reason', cell: (recipient) => html`<span class="reply">${recipient.detail}</span>` },
      { title: 'Since', cell: (recipient) => (recipient.at === undefined ? '' : formatSecond(recipient.at)) },
      ...(recipients.some(({ nextAt }) => nextAt !== undefined)
        ? [{ title: 'Next attempt', cell: (recipient: RecipientView) => nextAttempt(recipient, at) }]
        : []),
    ],
    recipients,
  )
}

/** Why is what was said last. */
function nextAttempt({ nextAt, attempts }: RecipientView, at: number): HtmlValue {
  if (nextAt === undefined) return undefined
  return html`${ahead(nextAt, at)}${attempts !== undefined && attempts > 0 && html`, after ${plural(attempts, 'attempt')}`}`
}

function recipientAddress(recipient: RecipientView): Html {
  return html`${termLink('to', recipient.mailbox)}${recipient.original !== undefined && html` <small>given as ${recipient.original}</small>`}`
}

function story(message: MessageView, at: number): HtmlValue {
  if (message.story.length === 0) return html`<p class="empty">The journal has no lines about it.</p>`
  return html`<ol class="story">${message.story.map(
    (line) => html`
<li data-tone="${line.tone}"><time datetime="${new Date(line.at).toISOString()}" title="${formatInstant(line.at)}">${offset(line.at, message.acceptedAt)}</time><p>${storyText(line)}</p></li>`,
  )}
</ol><p class="quiet-text">Times since acceptance, ${formatInstant(message.acceptedAt)}; now ${formatInstant(at)}.</p>`
}

function talk({ talk, nextTalks, acceptedAt }: MessageView): HtmlValue {
  return [
    talk.length > 0 && talkBox('What was said in SMTP when it came in', talk),
    ...nextTalks.map(({ at, host, lines }) =>
      talkBox(html`What was said with ${host ?? 'the next hop'} after ${offset(at, acceptedAt)}`, lines),
    ),
  ]
}

function talkBox(title: HtmlValue, lines: readonly string[]): Html {
  return html`<details class="words"><summary>${title}</summary><pre class="letter octets" tabindex="0">${lines.join('\n')}</pre></details>`
}

/** The line that decided leads to the page Rules. */
function storyText({ text, rule, revision }: StoryLine): HtmlValue {
  const start = rule === undefined ? -1 : text.indexOf(rule)
  if (rule === undefined || start < 0) return text
  return html`${text.slice(0, start)}<a href="/rules#${encodeURIComponent(rule.slice(rule.lastIndexOf('/') + 1))}"${revision !== undefined && html` title="configuration ${revision}"`}>${rule}</a>${text.slice(start + rule.length)}`
}

function verdictSection({ at, verdict, score, reason, tests, authentication }: FilterVerdict, index: number): Html {
  const id = `verdict${index}`
  return html`<section aria-labelledby="${id}"><h2 id="${id}">Filter</h2>
<p>${badge(verdict === 'clean' ? 'good' : 'bad', verdict)}${score !== undefined && html` score ${score}`}${reason !== undefined && html`, ${reason}`} <span class="quiet-text">${formatSecond(at)}</span></p>
${
  tests.length > 0 &&
  dataTable(
    'Tests of the filter, the heaviest first',
    [
      { title: 'Test', cell: ({ name }: TestResult) => html`<code>${name}</code>` },
      { title: 'Score', numeric: true, cell: (test: TestResult) => test.score },
      { title: 'What it found', cell: ({ text }: TestResult) => html`<span class="reply">${text}</span>` },
    ],
    tests,
  )
}
${
  authentication.length > 0 &&
  dataTable(
    'Authentication of the sender',
    [
      { title: 'Method', cell: ({ method }: AuthenticationResult) => method.toUpperCase() },
      {
        title: 'Result',
        cell: ({ result }: AuthenticationResult) => badge(authenticationTones.get(result) ?? 'plain', result),
      },
      { title: 'About', cell: ({ detail }: AuthenticationResult) => html`<span class="reply">${detail}</span>` },
    ],
    authentication,
  )
}</section>`
}

const authenticationTones: ReadonlyMap<string, Tone> = new Map([
  ['pass', 'good'],
  ['fail', 'bad'],
  ['softfail', 'waiting'],
  ['temperror', 'waiting'],
  ['permerror', 'bad'],
])

const marks = { added: '+', removed: '−', changed: '±', other: ' ' } as const

/** By stage; where that is not known any more, all in one list. */
function headerEdits({ stages, edits }: MessageView): HtmlValue {
  if (edits.length === 0 && stages.length === 0) return html`<p class="empty">None known.</p>`
  if (stages.length === 0)
    return html`<ol class="edits">${edits.map((edit) => html`<li><code>${edit}</code></li>`)}</ol>`
  return stages.map(
    ({ stage, changes }) =>
      html`<h3 class="quiet-text">${stage}</h3><ul class="diff">${changes.map(({ kind, text }) => html`<li data-kind="${kind}"><span class="mark" aria-hidden="true">${marks[kind]}</span><span class="quiet">${kind}: </span><code>${text}</code></li>`)}</ul>`,
  )
}

/** `+1.204 s`, `+2:03:04` */
export function offset(at: number, since: number): string {
  const durationMs = Math.abs(at - since)
  const sign = at < since ? '−' : '+'
  if (durationMs < 60_000) return `${sign}${(durationMs / 1000).toFixed(3)} s`
  const seconds = Math.trunc(durationMs / 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${sign}${Math.trunc(seconds / 3600)}:${two(Math.trunc(seconds / 60) % 60)}:${two(seconds % 60)}`
}

function jobs(message: MessageView, at: number): HtmlValue {
  const open = message.jobs.kind === 'away' ? [] : message.jobs.value.filter(isOpen)
  if (open.length === 0) return undefined
  return html`<section aria-labelledby="jobs"><h2 id="jobs">In the queues</h2>${jobTable('Jobs of this message', open, at, { queue: true })}</section>`
}

function origin(message: MessageView): HtmlValue {
  if (message.origin.length === 0) return html`<p class="empty">Not known.</p>`
  return html`<dl class="facts">${message.origin.map((field) => html`<div><dt>${field.name}</dt><dd>${originValue(field)}</dd></div>`)}</dl>`
}

/** Who brought it leads to what else he brought. */
function originValue({ name, value }: OriginField): HtmlValue {
  if (name === 'user') return termLink('user', value)
  if (name !== 'client') return value
  const [address = '', ...port] = value.split(' ')
  return html`${termLink('client', address)} ${port.join(' ')}`
}
