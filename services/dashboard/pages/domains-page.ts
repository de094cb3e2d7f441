import type { KeyLife } from '../../../shared/dkim/key-lives.ts'
import type { DomainUse } from '../../../shared/domains/list-domains.ts'
import type { RecordToPublish } from '../../../shared/domains/records.ts'
import type { Finding } from '../../../shared/doctor/finding.ts'
import { isAtLeast } from '../../../shared/config/operators.ts'
import { html } from '../../../shared/html.ts'
import type { Html, HtmlValue } from '../../../shared/html.ts'
import type { DomainRow, DomainsView, DomainView, NextRotation } from '../domain-desk.ts'
import type { Visitor } from '../visitor.ts'
import type { Page } from './layout.ts'
import { ago, badge, dataTable, formTokenField, notice } from './parts.ts'
import type { Tone } from './parts.ts'

/** Every domain of the configuration, and how the world saw it last. */
export function domainsPage(view: DomainsView): Page {
  const { at, domains, unlisted, signsAll, count } = view
  const main = html`<div class="headline"><h1>Domains</h1><p class="quiet-text">That this server takes mail for, or signs mail of; what to publish for each is on its page.</p></div>
${domains.length === 0 ? html`<p class="empty">No rule of smtpd.conf names one.</p>` : domainsTable(domains, at)}
${count > domains.length && html`<p class="quiet-text">The first ${domains.length} of ${count}.</p>`}
${signsAll && html`<p class="quiet-text">Mail of domains without a key of their own is signed by the key of <code>dkim default same-domain</code>.</p>`}
${unlisted.length > 0 && html`<section aria-labelledby="unlisted"><h2 id="unlisted">Not in this list</h2>${unlistedTable(unlisted)}</section>`}`
  return { title: 'Domains', section: '/domains', at, main }
}

const useWords: Readonly<Record<DomainUse, string>> = {
  local: 'mailboxes here',
  relayed: 'passed on',
  signed: 'signed',
}

function domainsTable(domains: DomainsView['domains'], nowAt: number): Html {
  return dataTable(
    'Domains of the configuration',
    [
      { title: 'Domain', cell: ({ name, isPattern }) => (isPattern ? html`<code>${name}</code>` : domainLink(name)) },
      { title: 'Mail', cell: ({ uses }) => uses.map((use) => useWords[use]).join(', ') },
      { title: 'Named at', cell: ({ saidAt }) => saidAt.join(', ') },
      { title: 'As the world sees it', cell: (row) => verdict(row) },
      { title: 'Checked', cell: ({ checked }) => checked && html`${ago(checked.at, nowAt)} ago` },
    ],
    domains,
  )
}

function domainLink(name: string): Html {
  return html`<a href="/domains/${name}"><strong>${name}</strong></a>`
}

function verdict({ isPattern, isRunning, checked }: DomainRow): HtmlValue {
  if (isRunning) return badge('waiting', 'being checked')
  if (isPattern) return html`<span class="quiet-text">a pattern</span>`
  if (checked === undefined) return html`<span class="quiet-text">never checked</span>`
  if (checked.wrong > 0) return badge('bad', `${checked.wrong} wrong`)
  return checked.unknown > 0 ? badge('waiting', `${checked.unknown} not known`) : badge('good', 'in order')
}

function unlistedTable(unlisted: DomainsView['unlisted']): Html {
  return dataTable(
    'What names domains and cannot be listed',
    [
      { title: 'What', cell: ({ what }) => what },
      { title: 'Named at', cell: ({ saidAt }) => html`<span class="whole">${saidAt}</span>` },
      { title: 'Why', cell: ({ reason }) => reason },
    ],
    unlisted,
  )
}

/** One domain: how the world sees it, what to publish, and its keys. Kept up to date while somebody looks at it. */
export function domainPage(view: DomainView, visitor: Visitor, done: string | undefined): Page {
  const { name, uses, saidAt, at, isRunning } = view
  const path = `/domains/${name}`
  const main = html`<div class="headline"><h1 class="id">${name}</h1>
<p class="quiet-text">${uses.map((use) => useWords[use]).join(', ')}${saidAt.length > 0 && html` · ${saidAt.join(', ')}`}</p></div>
${doneNotice(done, isRunning)}
<section aria-labelledby="seen"><h2 id="seen">As the world sees it</h2>${findings(view, visitor, path)}</section>
<section aria-labelledby="records"><h2 id="records">Records to publish</h2>
<p class="quiet-text">A click on a line selects it whole.</p>${view.records.map((record) => recordBox(record, view))}
<h3>Policy of MTA-STS</h3><p class="quiet-text">To be served at <code>https://mta-sts.${name}/.well-known/mta-sts.txt</code>; <code>mode: testing</code> while it is new.</p><pre class="explanation to-copy" tabindex="0">${view.policy}</pre></section>
<section aria-labelledby="keys"><h2 id="keys">DKIM keys</h2>${keys(view, visitor, path)}</section>`
  return { title: name, section: '/domains', at, main, ...(isRunning ? {} : { still: true as const }) }
}

const doneTexts: ReadonlyMap<string, string> = new Map([
  ['check', 'It was looked at.'],
  ['rotate', 'The new key waits for its record, which stands below.'],
  ['generate', 'The key is made. Its line for pipeline.conf stands below.'],
  ['retire', 'The key is removed.'],
])

function doneNotice(done: string | undefined, isRunning: boolean): HtmlValue {
  if (isRunning) return notice('plain', 'It is being looked at.', 'Hosts that do not answer take their time.')
  const text = doneTexts.get(done ?? '')
  return text === undefined ? undefined : notice('plain', 'Done.', text)
}

const verdicts: Readonly<Record<Finding['verdict'], readonly [tone: Tone, word: string]>> = {
  good: ['good', 'good'],
  wrong: ['bad', 'wrong'],
  absent: ['plain', 'not there'],
  unknown: ['waiting', 'not known'],
}

function findings({ last, at, isRunning }: DomainView, visitor: Visitor, path: string): Html {
  const button =
    visitor.acts && !isRunning
      ? html`<div class="actions">${form(`${path}/check`, visitor, html`<button class="primary">Check now</button>`)}</div>`
      : undefined
  if (last === undefined)
    return html`<p class="empty">Nobody has looked yet. <code>sluicectl doctor</code> does the same.</p>${button}`
  const table = dataTable(
    'What was found',
    [
      { title: 'Verdict', cell: (one) => badge(...verdicts[one.verdict]) },
      { title: 'Check', cell: ({ check }) => check },
      {
        title: 'Finding',
        cell: ({ text, publish }) =>
          html`${text}${publish !== undefined && html`<small class="below">to publish: <code>${publish}</code></small>`}`,
      },
    ],
    // Asked for by the option of the command alone.
    last.findings.filter(({ check, verdict }) => check !== 'outgoing' || verdict !== 'absent'),
  )
  return html`<p class="quiet-text">${ago(last.at, at)} ago; it took ${(last.tookMs / 1000).toFixed(1)} s.</p>${table}${button}`
}

function recordBox(record: RecordToPublish, { last }: DomainView): Html {
  return html`<div class="record"><h3>${record.title} ${recordVerdict(record, last?.findings ?? [])}</h3>
<code class="to-copy" tabindex="0">${record.line}</code><p class="quiet-text">${record.why}</p></div>`
}

/** Of all findings of its check; the worst counts. */
function recordVerdict({ check }: RecordToPublish, all: readonly Finding[]): HtmlValue {
  const order = ['wrong', 'unknown', 'absent', 'good'] as const
  const worst = order.find((verdict) => all.some((one) => one.check === check && one.verdict === verdict))
  return worst && badge(...verdicts[worst])
}

function keys(view: DomainView, visitor: Visitor, path: string): Html {
  const mayChange = visitor.acts && isAtLeast(visitor.role, 'admin')
  return html`${view.keyTroubles.map((trouble) => notice('bad', 'A key cannot be read.', trouble))}
${view.keys.length === 0 ? html`<p class="empty">No key of pipeline.conf signs for it.</p>` : keyTable(view, visitor, path)}
${view.rotations.map((rotation) => rotationBox(rotation, { view, visitor, path, mayChange }))}
${view.unnamed.map(
  ({
    line,
    selector,
    record,
  }) => html`<div class="record"><h3>New key ${selector}</h3><p class="quiet-text">Made, and not named yet. For pipeline.conf:</p>
<code class="to-copy" tabindex="0">${line}</code><p class="quiet-text">For the DNS:</p><code class="to-copy" tabindex="0">${record.zoneLine}</code></div>`,
)}
${mayChange && makeForm(view, visitor, path)}`
}

const useTones: Readonly<Record<KeyLife['use'], readonly [tone: Tone, word: string]>> = {
  signs: ['good', 'signs'],
  new: ['waiting', 'waits for its record'],
  old: ['plain', 'was replaced'],
}

function keyTable({ keys: lives, last, at, name }: DomainView, visitor: Visitor, path: string): Html {
  const mayChange = visitor.acts && isAtLeast(visitor.role, 'admin')
  const published = (life: KeyLife): HtmlValue => {
    const found = last?.publications.find((one) => one.name === life.record.name)
    if (found === undefined) return html`<span class="quiet-text">not looked for yet</span>`
    return badge(...publicationWords(found.kind, life.use))
  }
  return dataTable(
    `DKIM keys of ${name}`,
    [
      { title: 'Selector', cell: ({ selector }) => html`<strong>${selector}</strong>` },
      { title: 'Use', cell: ({ use }) => badge(...useTones[use]) },
      { title: 'Kind', cell: ({ type, bits }) => (type === 'rsa' ? `RSA ${bits}` : 'Ed25519') },
      { title: 'Age', cell: ({ madeAt }) => ago(madeAt, at) },
      { title: 'In the DNS', cell: published },
      { title: 'Needed', cell: (life) => needed(life, at) },
      { title: 'File', cell: ({ keyFile }) => html`<code>${keyFile}</code>` },
      ...(mayChange ? [{ title: 'Action', cell: (life: KeyLife) => retireButton(life, { visitor, path, at }) }] : []),
    ],
    lives,
  )
}

function publicationWords(kind: string, use: KeyLife['use']): readonly [tone: Tone, word: string] {
  if (kind === 'published') return ['good', 'published']
  if (kind === 'unknown') return ['waiting', 'not known']
  const tone = use === 'signs' ? 'bad' : use === 'new' ? 'waiting' : 'plain'
  if (kind === 'missing') return [tone, 'not there']
  return [tone, kind === 'another' ? 'another key' : 'cannot be used']
}

function needed({ neededUntil, use }: KeyLife, nowAt: number): HtmlValue {
  if (use !== 'old') return 'yes'
  if (neededUntil === undefined) return undefined
  return neededUntil > nowAt ? `until ${new Date(neededUntil).toISOString().slice(0, 10)}` : 'no longer'
}

function retireButton(
  { selector, use, neededUntil = 0, isNamed }: KeyLife,
  { visitor, path, at }: { readonly visitor: Visitor; readonly path: string; readonly at: number },
): HtmlValue {
  if (use !== 'old' || isNamed || neededUntil > at) return undefined
  const fields = html`<input type="hidden" name="selector" value="${selector}"><button>Retire<span class="quiet"> ${selector}</span></button>`
  return form(`${path}/retire`, visitor, fields)
}

function rotationBox(
  { selector, signs, waits, next, isPossible }: NextRotation,
  { view, visitor, path, mayChange }: Drawing & { readonly mayChange: boolean },
): Html {
  if (waits !== undefined)
    return html`<p class="notice" data-tone="waiting"><strong>${waits} waits for its record.</strong> While mail is signed the DNS is asked once a minute; ${signs} signs until the record is seen. Nothing else needs to be done.</p>`
  const button = html`<input type="hidden" name="selector" value="${selector}"><button>Rotate ${signs}</button>`
  const command = html`Type <code>sluicectl dkim rotate ${view.name} ${selector}</code>: this process cannot write where the key lies.`
  return html`<p>A rotation makes the key <strong>${next}</strong> beside that of <strong>${signs}</strong>, which signs until the new record is in the DNS.
${mayChange && !isPossible && command}</p>
${mayChange && isPossible && html`<div class="actions">${form(`${path}/rotate`, visitor, button)}</div>`}`
}

interface Drawing {
  readonly view: DomainView
  readonly visitor: Visitor
  readonly path: string
}

function makeForm({ name, canMake, keys: lives }: DomainView, visitor: Visitor, path: string): Html {
  if (!canMake)
    return html`<p>Type <code>sluicectl dkim generate ${name} main</code> to make a key: this process cannot write to the data folder.</p>`
  const free = lives.some(({ selector }) => selector === 'main') ? 'ed' : 'main'
  return html`<details class="words"><summary>Make ${lives.length === 0 ? 'a' : 'another'} key</summary>
<form class="ask" action="${path}/generate" method="post">${formTokenField(visitor)}
<label>Selector<input name="selector" value="${free}" required maxlength="63" autocomplete="off" autocapitalize="none" spellcheck="false"></label>
<label>Kind<select name="type"><option value="rsa">RSA 2048</option><option value="ed25519">Ed25519</option></select></label>
<button>Make the key</button></form></details>`
}

function form(action: string, visitor: Visitor, content: Html): Html {
  return html`<form action="${action}" method="post">${formTokenField(visitor)}${content}</form>`
}
