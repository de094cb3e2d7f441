import type { ConfigurationTexts, DryRunState } from '../../../shared/dry-run/dry-runs.ts'
import type { DryRun, OutcomeChange } from '../../../shared/dry-run/dry-run.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import { formatDuration, formatSecond, plural } from '../../../shared/report/units.ts'
import type { Given } from '../action-fields.ts'
import type { Visitor } from '../visitor.ts'
import type { Page } from './layout.ts'
import { dataTable, formTokenField, notice } from './parts.ts'

export interface DryRunForm {
  readonly texts: ConfigurationTexts | undefined
  readonly given?: Given
  readonly days: number
  readonly visitor: Visitor
  readonly problem?: string
}

/** The files in force, to be changed and tried. */
export function dryRunPage({ texts, given = {}, days, visitor, problem }: DryRunForm, at: number): Page {
  const number = (name: string, label: string, value: string): Html =>
    html`<label>${label}<input name="${name}" value="${given[name] ?? value}" inputmode="decimal" maxlength="10" autocomplete="off"></label>`
  const file = (name: 'smtpdConf' | 'pipelineConf', label: string): Html =>
    html`<label class="file">${label} <span class="whole">${texts?.[name].path}</span><textarea name="${name}" rows="20" spellcheck="false" autocapitalize="none" autocomplete="off" wrap="off">${given[name] ?? texts?.[name].text}</textarea></label>
<label class="file">or ${label} from a file<input type="file" name="${name}"></label>`
  const main = html`<div class="headline"><h1>Dry run</h1><p><a href="/rules">Back to the rules</a></p></div>
<p>What a changed configuration would have done with the mail of the last days, against the one in force. It is tried here and nowhere else: nothing on disk changes, and no mail is sent.</p>
${problem !== undefined && notice('bad', 'This cannot be tried.', problem)}
${
  texts === undefined
    ? notice('waiting', 'It cannot be tried from here.', 'Nobody knows from which files the configuration is.')
    : html`<form class="ask files" action="/rules/dry-run" method="post" enctype="multipart/form-data">${formTokenField(visitor)}
${file('smtpdConf', 'smtpd.conf')}
${file('pipelineConf', 'pipeline.conf')}
${number('days', 'Mail of the last days', String(days))}
${number('junk', 'Junk from', '')}
${number('quarantine', 'Quarantine from', '')}
${number('reject', 'Reject from', '')}
${number('discard', 'Discard from', '')}
<div class="actions"><button class="primary">Try</button><a href="/rules/dry-run/result">The last one</a></div></form>
<p class="quiet-text">A file that is chosen counts in place of the text above it. Scores that are left empty are those of pipeline.conf. Files, tables of servers and programs that the configuration in force does not have are neither read nor asked from here: <code>sluicectl dry-run</code> does.</p>`
}`
  return { title: 'Dry run', section: '/rules', at, main, still: true }
}

/** How far it is, or what came of it. */
export function dryRunStatePage(state: DryRunState | undefined, visitor: Visitor, at: number): Page {
  const isRunning = state?.outcome.kind === 'running'
  const main = html`<div class="headline"><h1>Dry run</h1><p><a href="/rules/dry-run">Try another</a></p></div>
${state === undefined ? html`<p>None was tried since this process started.</p>` : stateText(state, at)}
${isRunning && html`<form action="/rules/dry-run/cancel" method="post">${formTokenField(visitor)}<button>Cancel</button></form>`}`
  return { title: 'Dry run', section: '/rules', at, main, ...(isRunning ? {} : { still: true }) }
}

function stateText({ by, startedAt, days, messages, outcome }: DryRunState, at: number): Html {
  const asked = html`<p class="quiet-text">Mail of the last ${plural(days, 'day')}; begun by ${by} at ${formatSecond(startedAt)}.</p>`
  switch (outcome.kind) {
    case 'running':
      return html`${asked}<p><strong>${messages.toLocaleString('en')}</strong> messages judged in ${formatDuration(Math.max(0, at - startedAt))}.</p>`
    case 'cancelled':
      return html`${asked}<p>Cancelled after ${plural(messages, 'message')}.</p>`
    case 'refused':
      return html`${asked}${notice('bad', 'It is not a configuration that can be tried.', '')}<pre class="explanation" tabindex="0">${outcome.reason}</pre>`
    case 'failed':
      return html`${asked}${notice('bad', 'It broke off.', outcome.reason)}`
    case 'done':
      return html`${asked}${foundTables(outcome.found)}
${outcome.warnings.length > 0 && html`<h2>What is odd about it</h2><pre class="explanation" tabindex="0">${outcome.warnings.join('\n')}</pre>`}`
  }
}

function foundTables(found: DryRun): Html {
  const { messages, recipients, unchanged, changed, notJudged, changedSince, changes, reasons, notTried } = found
  const share = (count: number): string => `${((count * 100) / Math.max(1, recipients)).toFixed(1)} %`
  return html`<p><strong>${changed.toLocaleString('en')}</strong> of ${plural(recipients, 'recipient')} of ${plural(messages, 'message')} would end otherwise; ${unchanged.toLocaleString('en')} the same, ${notJudged.toLocaleString('en')} not judged.</p>
${changedSince > 0 && html`<p class="quiet-text">${changedSince.toLocaleString('en')} went another way then than the configuration in force says: it, a table or a user has changed since.</p>`}
${dataTable<OutcomeChange>(
  'Outcomes that would change',
  [
    { title: 'Now', cell: ({ from }) => from },
    { title: 'Then', cell: ({ to }) => to },
    { title: 'Recipients', numeric: true, cell: ({ recipients: count }) => count.toLocaleString('en') },
    { title: 'Share', numeric: true, cell: ({ recipients: count }) => share(count) },
    { title: 'Such as', cell: examples },
  ],
  changes,
)}
${
  reasons.length > 0 &&
  dataTable(
    'Not judged',
    [
      { title: 'Why', cell: ({ reason }) => reason },
      { title: 'Recipients', numeric: true, cell: ({ recipients: count }) => count.toLocaleString('en') },
    ],
    reasons,
  )
}
${notTried.length > 0 && html`<p>Differs, and was not tried: ${notTried.join(', ')}</p>`}`
}

function examples({ examples: shown }: OutcomeChange): HtmlValue {
  return shown.map(({ id, from, to }) => html`<a href="/messages/${id}">${from ?? '<>'} to ${to}</a><br>`)
}
