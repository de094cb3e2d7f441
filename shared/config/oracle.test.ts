import assert from 'node:assert/strict'
import { test } from 'node:test'

import { renderDiagnostics } from './diagnostic.ts'
import { compileDomains } from './domain-pattern.ts'
import { expandFormat, FormatError } from './format.ts'
import { grammarOf } from './grammar-choice.ts'
import { compileMailboxes } from './mailbox-pattern.ts'
import { compileNetworks } from './network.ts'
import { faultsOf, oracleRows, oracleText, parseText, withoutOracle } from './oracle-fixture.ts'
import { parseRelayUrl, RelayUrlError } from './relay-url.ts'

const skip = withoutOracle

interface CorpusFile {
  readonly file: string
  readonly grammar: 'new' | 'old' | 'part'
  readonly verdict: Readonly<Record<string, { readonly ok: boolean }>>
  readonly made: Readonly<Record<string, string>>
}

test('the grammar of every real file is recognised', { skip }, (t) => {
  const corpus = JSON.parse(oracleText('corpus/manifest.json')) as readonly CorpusFile[]
  for (const { file, grammar } of corpus) {
    if (grammar === 'part') continue
    const expected = grammar === 'old' ? 'old' : 'modern'
    assert.equal(grammarOf(oracleText(`corpus/${file}`)), expected, file)
  }
  t.diagnostic(`${corpus.length} files`)
})

interface Probe {
  readonly id: string
  readonly grammar: string
  readonly text: string
  readonly verdict: Readonly<Record<string, { readonly ok: boolean; readonly says?: string }>>
}

const newest = '7.8.0p1'

/** We read the settings of a database, which upstream leaves to a program: the files of the corpus have a text of another kind. */
const settings = {
  '/etc/mail/sqlite.conf': 'dbpath /x\nquery select ?\n',
  '/etc/opensmtpd/sqlite.conf': 'dbpath /x\nquery select ?\n',
  '/etc/mail/postgresql.conf': "conninfo host=h user=a dbname='b'\nquery select $1\n",
}

test('real files of the modern grammar are accepted and refused as by the newest release', { skip }, (t) => {
  const corpus = JSON.parse(oracleText('corpus/manifest.json')) as readonly CorpusFile[]
  let unsupported = 0
  let judged = 0
  for (const { file, grammar, verdict, made } of corpus) {
    if (grammar === 'old') continue
    const parsed = parseText(oracleText(`corpus/${file}`), { ...made, ...settings }, { strict: true })
    judged += 1
    if (parsed.diagnostics.some((one) => one.code === 'unsupported')) unsupported += 1
    const faults = faultsOf(parsed)
    assert.equal(faults.length === 0, verdict[newest]?.ok, `${file}\n${renderDiagnostics(faults)}`)
  }
  t.diagnostic(`${judged} files as the oracle; ${unsupported} of them use what this version refuses by name`)
})

/** Where we differ on purpose: CRLF is tolerated, and an interface that is not there is the listener's matter. */
const otherwise = new Set(['crlf-file', 'macro-in-quotes', 'listen-unknown-interface'])

test('one-claim files are accepted and refused as by the newest release, in the same first line', { skip }, (t) => {
  const probes = JSON.parse(oracleText('probes.json')) as readonly Probe[]
  const inc = { '/etc/mail/inc.conf': oracleText('inc.conf'), '/etc/mail/t-probe': 'a\n' }
  let judged = 0
  for (const { id, grammar, text, verdict } of probes) {
    if (grammar !== 'new' || otherwise.has(id)) continue
    const faults = faultsOf(parseText(text, inc, { strict: true }))
    assert.equal(faults.length === 0, verdict[newest]?.ok, `${id}\n${text}\n${renderDiagnostics(faults)}`)
    const line = /line (\d+): (?!reached end)/.exec(verdict[newest]?.says ?? '')?.[1]
    if (line !== undefined && id !== 'unterminated-quote') assert.equal(faults[0]?.span.line, Number(line), id)
    judged += 1
  }
  t.diagnostic(`${judged} probes as the oracle, ${otherwise.size} otherwise on purpose`)
})

const newestOld = '6.0.3p1'

test('real files of the old grammar are accepted and refused as by its newest release', { skip }, (t) => {
  const corpus = JSON.parse(oracleText('corpus/manifest.json')) as readonly CorpusFile[]
  let judged = 0
  for (const { file, grammar, verdict, made } of corpus) {
    if (grammar !== 'old') continue
    const faults = faultsOf(
      parseText(oracleText(`corpus/${file}`), { ...made, ...settings }, { strict: true, grammar: 'old' }),
    )
    assert.equal(faults.length === 0, verdict[newestOld]?.ok, `${file}\n${renderDiagnostics(faults)}`)
    judged += 1
  }
  t.diagnostic(`${judged} files as the oracle`)
})

test('one-claim files of the old grammar are accepted and refused as by its newest release', { skip }, (t) => {
  const probes = JSON.parse(oracleText('probes.json')) as readonly Probe[]
  let judged = 0
  for (const { id, grammar, text, verdict } of probes) {
    if (grammar !== 'old') continue
    const faults = faultsOf(parseText(text, { '/etc/aliases': 'root: joe\n' }, { strict: true, grammar: 'old' }))
    assert.equal(faults.length === 0, verdict[newestOld]?.ok, `${id}\n${text}\n${renderDiagnostics(faults)}`)
    const line = /line (\d+): /.exec(verdict[newestOld]?.says ?? '')?.[1]
    if (line !== undefined) assert.equal(faults[0]?.span.line, Number(line), id)
    judged += 1
  }
  t.diagnostic(`${judged} probes as the oracle`)
})

test('domains of tables match as upstream', { skip }, () => {
  for (const [host = '', pattern = '', match] of oracleRows('vectors/domain.tsv')) {
    assert.equal(compileDomains([pattern]).matches(host), match === '1', `${host} ${pattern}`)
  }
})

test('addresses of tables match as upstream', { skip }, () => {
  for (const [address = '', entry = '', match] of oracleRows('vectors/netaddr.tsv')) {
    assert.equal(compileNetworks([entry]).matches(address), match === '1', `${address} ${entry}`)
  }
})

test('mailboxes of tables match as upstream', { skip }, () => {
  for (const [address = '', entry = '', match] of oracleRows('vectors/mailaddr.tsv')) {
    assert.equal(compileMailboxes([entry], '+').matches(address), match === '1', `${address} ${entry}`)
  }
})

test('relay URLs are read as upstream', { skip }, () => {
  const tls = { opportunistic: 0, required: 1, implicit: 2, never: 3 }
  for (const [text = '', expected] of oracleRows('vectors/relayhost.tsv')) {
    if (expected === '!error') {
      assert.throws(() => parseRelayUrl(text), RelayUrlError, text)
      continue
    }
    const url = parseRelayUrl(text)
    assert.ok(url.kind !== 'queue')
    const lmtp = url.kind === 'lmtp' ? 1 : 0
    const shown = `host=${url.host} port=${url.port} tls=${tls[url.tls]} lmtp=${lmtp} label=${url.label ?? ''}`
    assert.equal(shown, expected, text)
  }
})

/** Upstream refuses a range with a modifier by mistake. */
const bothAllowed = new Set(['%{rcpt.user[0:3]:lowercase}', '%{rcpt.user[0]:raw}'])

test('format specifiers expand as upstream', { skip }, () => {
  for (const row of oracleRows('vectors/expand.tsv')) {
    const [sender = '', rcpt = '', dest = '', username = '', directory = '', format = '', expected] = row
    if (bothAllowed.has(format)) continue
    const values = { sender, rcpt, dest, username, directory, mda: 'MDA-COMMAND' }
    if (expected === '!error') assert.throws(() => expandFormat(format, values), FormatError, format)
    else assert.equal(expandFormat(format, values), expected, format)
  }
})
