import { basename } from 'node:path'

import type { Rule } from '../../../shared/config/model.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { ExplainForm } from '../explain-question.ts'
import type { Page } from './layout.ts'
import { dataTable, notice } from './parts.ts'

export interface RulesView {
  readonly rules: readonly Pick<Rule, 'at' | 'text'>[]
  readonly form: ExplainForm
  /** Why the recipient of the form goes where it goes, line by line. */
  readonly explanation?: string
  readonly problem?: string
}

/** The rules in the order they are asked, and a box that tells which one decides. */
export function rulesPage({ rules, form, explanation, problem }: RulesView, at: number): Page {
  const main = html`<div class="headline"><h1>Rules</h1><p class="quiet-text">Of smtpd.conf as it is in force; the first that matches decides.</p></div>
<section aria-labelledby="explain"><h2 id="explain">Where would a message go?</h2>
${explainForm(form)}
${problem !== undefined && notice('bad', 'This cannot be asked.', problem)}
${explanation !== undefined && html`<pre class="explanation" tabindex="0">${explanation}</pre><p class="quiet-text">By the rules alone; <code>sluicectl explain</code> also asks the restrictions of the listener.</p>`}</section>
<section aria-labelledby="rules"><h2 id="rules">In order</h2>${rulesTable(rules)}</section>`
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

function rulesTable(rules: RulesView['rules']): Html {
  return dataTable(
    'Rules in the order they are asked',
    [
      { title: 'Line', cell: ({ at }) => html`<span class="whole">${basename(at.file)}:${at.line}</span>` },
      { title: 'Rule', cell: ({ text }) => html`<code>${text}</code>` },
    ],
    rules,
  )
}
