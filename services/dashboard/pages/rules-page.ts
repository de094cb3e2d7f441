import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { CountedStatement } from '../../../shared/rule-hits/view.ts'
import type { ExplainForm } from '../explain-question.ts'
import { searchLink } from './found-table.ts'
import type { Page } from './layout.ts'
import { ago, badge, dataTable, notice } from './parts.ts'

export interface RulesView {
  readonly rules: readonly CountedStatement[]
  readonly form: ExplainForm
  /** Why the recipient of the form goes where it goes, line by line. */
  readonly explanation?: string
  readonly problem?: string
  /** He may try a changed configuration. */
  readonly mayTry: boolean
}

/** The rules in the order they are asked, and a box that tells which one decides. */
export function rulesPage({ rules, form, explanation, problem, mayTry }: RulesView, at: number): Page {
  const main = html`<div class="headline"><h1>Rules</h1><p class="quiet-text">Of smtpd.conf as it is in force; the first that matches decides.</p>${mayTry && html`<p><a href="/rules/dry-run">Try a changed configuration</a></p>`}</div>
<section aria-labelledby="explain"><h2 id="explain">Where would a message go?</h2>
${explainForm(form)}
${problem !== undefined && notice('bad', 'This cannot be asked.', problem)}
${explanation !== undefined && html`<pre class="explanation" tabindex="0">${explanation}</pre><p class="quiet-text">By the rules alone; <code>sluicectl explain</code> also asks the restrictions of the listener.</p>`}</section>
<section aria-labelledby="rules"><h2 id="rules">In order</h2>${rulesTable(rules, at)}</section>`
  return { title: 'Rules', section: '/rules', at, main, still: true }
}

function explainForm(form: ExplainForm): Html {
  return html`<form class="ask" action="/rules" method="get">
${input('rcpt', 'Recipient', form.rcpt, 'jane@example.org', html` required`)}
${input('from', 'Sender', form.from, '<>')}
${input('client', 'Client address', form.client, 'this host')}
${input('helo', 'HELO', form.helo, '')}
${input('user', 'Signed in as', form.user, 'nobody')}
${input('tag', 'Tags', form.tag, '')}
<label class="check"><input type="checkbox" name="tls"${form.tls && html` checked`}> TLS</label>
<button class="primary">Explain</button>
</form>`
}

function input(name: string, label: string, value: string, placeholder: string, more?: HtmlValue): Html {
  return html`<label>${label}<input name="${name}" value="${value}" placeholder="${placeholder}" maxlength="320" autocomplete="off" autocapitalize="none" spellcheck="false"${more}></label>`
}

function rulesTable(rules: RulesView['rules'], nowAt: number): Html {
  const rulesOf = (kind: CountedStatement['kind']): readonly CountedStatement[] =>
    rules.filter((one) => one.kind === kind)
  const restrictions = rulesOf('restrict')
  return html`${hitsTable('Rules in the order they are asked', rulesOf('rule'), nowAt)}
${restrictions.length > 0 && html`<h2>Restrictions</h2>${hitsTable('Restrictions of pipeline.conf', restrictions, nowAt)}`}
<p class="quiet-text">Hits are recipients, or answers, that a line decided; days are those of UTC.</p>`
}

function hitsTable(caption: string, rules: RulesView['rules'], nowAt: number): Html {
  return dataTable(
    caption,
    [
      { title: 'Line', cell: ({ at }) => html`<span class="whole" id="${at}">${at}</span>` },
      { title: 'Rule', cell: ({ text }) => html`<code>${text}</code>` },
      { title: 'Today', numeric: true, cell: (one) => hitCount(one, one.hits?.today, 'today') },
      { title: '7 days', numeric: true, cell: (one) => hitCount(one, one.hits?.week, 'after:7d') },
      { title: 'Last hit', cell: ({ hits }) => lastHit(hits, nowAt) },
    ],
    rules,
  )
}

/** With a way to the messages that went by it; a restriction refuses, and is in no message's rules. */
function hitCount({ kind, at }: CountedStatement, count: number | undefined, when: string): HtmlValue {
  if (count === undefined) return '–'
  const text = count.toLocaleString('en')
  return kind === 'rule' && count > 0
    ? html`<a href="${searchLink('/messages', `rule:${at} ${when}`)}">${text}</a>`
    : text
}

function lastHit(hits: CountedStatement['hits'], nowAt: number): HtmlValue {
  if (hits === undefined) return html`<span class="quiet-text">decides nothing by itself</span>`
  if (hits.lastAt !== undefined) return ago(hits.lastAt, nowAt)
  if (hits.since === undefined) return html`<span class="quiet-text">not counted yet</span>`
  return badge('waiting', `never since ${hits.since}`)
}
