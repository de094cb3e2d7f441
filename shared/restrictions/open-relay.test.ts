import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { PipelineSettings } from '../config/model.ts'
import { pipelineKeywords } from '../config/keywords.ts'
import { Lexer } from '../config/lexer.ts'
import { parseText } from '../config/oracle-fixture.ts'
import { parsePipeline } from '../config/pipeline-grammar.ts'
import { TokenReader } from '../config/token-reader.ts'
import { contextOf } from '../routing/routing-fixture.ts'
import { describeOpenRelay, findOpenRelays } from './open-relay.ts'

const base = [
  'listen on eth0 port 25',
  'listen on lo port 10025 tag Filtered',
  'action "out" relay',
  'action "in" maildir "/mail"',
  'action "scan" relay host "queue://filter"',
]

/** Lines of the rules that let strangers out. */
async function openRules(
  rules: readonly string[],
  pipeline: Partial<PipelineSettings> = {},
): Promise<readonly number[]> {
  const context = contextOf([...base, ...rules].join('\n'), {}, pipeline)
  const found = await findOpenRelays({ ...context, nowAt: 0 })
  return found.map(({ at }) => at.line - base.length)
}

const closed: readonly (readonly [what: string, ...rules: readonly string[]])[] = [
  ['our domains only', 'match from any for domain "example.org" action "in"', 'match from local for any action "out"'],
  ['users who have logged in', 'match from auth for any action "out"', 'match auth for any action "out"'],
  ['networks of ours', 'match from src { 10.0.0.0/8 } for any action "out"'],
  ['what comes back from a queue', 'match tag Filtered from local for any action "out"'],
  ['any domain, but delivered here', 'match from any for any action "in"'],
  ['a gateway for domains of ours', 'match from any for domain { "example.org", "*.example.org" } action "out"'],
  ['refused before', 'match from any for any reject', 'match from any for any action "out"'],
]

for (const [what, ...rules] of closed) {
  test(`no false alarm: ${what}`, async () => {
    assert.deepEqual(await openRules(rules), [])
  })
}

const open: readonly (readonly [what: string, line: number, ...rules: readonly string[]])[] = [
  ['from any for any', 1, 'match from any for any action "out"'],
  ['behind a queue', 1, 'match tag Filtered for any action "out"', 'match from any for any action "scan"'],
  ['who claims to be one of us', 1, 'match from any mail-from "@example.org" for any action "out"'],
  [
    'who claims to be jane',
    2,
    'match from local for any action "out"',
    'match from any mail-from "jane@example.org" for any action "out"',
  ],
  ['who says the right name', 1, 'match from any helo "mx.example.org" for any action "out"'],
  ['the null sender', 1, 'match from any mail-from "@" for any action "out"'],
  ['with TLS only', 1, 'match from any tls for any action "out"'],
  ['by IPv6 only', 1, 'match from src "::/0" for any action "out"'],
  ['addresses of literals', 1, 'match from any for domain regex "^\\[" action "out"'],
  ['any domain below', 1, 'match from any for domain "*.invalid" action "out"'],
  ['who has a name', 1, 'match from rdns for any action "out"'],
]

for (const [what, line, ...rules] of open) {
  test(`an open relay is found: ${what}`, async () => {
    const text = what === 'with TLS only' ? ['pki p cert "c" key "k"', 'listen on eth1 port 2525 tls pki p'] : []
    assert.deepEqual(await openRules([...text, ...rules]), [line + text.length])
  })
}

test('listeners that strangers cannot use are not judged: loopback, a login demanded', async () => {
  const rules = 'pki p cert "c" key "k"\ntable u { joe = "x" }\naction "out" relay\nmatch from any for any action "out"'
  for (const listener of ['listen on lo', 'listen on eth0 smtps pki p auth <u>', 'listen on eth0 smtps verify pki p']) {
    const [first = '', second = '', ...rest] = rules.split('\n')
    const context = contextOf([first, second, listener, ...rest].join('\n'))
    assert.deepEqual(await findOpenRelays({ ...context, nowAt: 0 }), [], listener)
  }
})

function restricting(...lines: readonly string[]): Pick<PipelineSettings, 'restrictions'> {
  const { draft } = parseText(base.join('\n'))
  const lexer = new Lexer('pipeline.conf', { keywords: pipelineKeywords, read: () => lines.join('\n') })
  const { restrictions } = parsePipeline(new TokenReader(lexer), draft).settings
  assert.deepEqual(lexer.diagnostics, [])
  return { restrictions }
}

test('what a restriction refuses is not open, what it lets through is', async () => {
  const rules = ['match from any for any action "out"']
  const refusing = restricting('restrict rcpt permit from 10.0.0.0/8', 'restrict rcpt reject "554 5.7.1 no"')
  assert.deepEqual(await openRules(rules, refusing), [])
  const partners = restricting('restrict rcpt permit certificate verified', 'restrict rcpt reject')
  assert.deepEqual(await openRules(rules, partners), [])
  const passing = restricting('restrict rcpt reject sender unknown-domain', 'restrict rcpt reject dnsbl "bl.example"')
  assert.deepEqual(await openRules(rules, passing), [1])
})

test('the message names the listener, the sender and the recipient', async () => {
  const context = contextOf([...base, 'match from any for any action "out"'].join('\n'))
  const [relay] = await findOpenRelays({ ...context, nowAt: 0 })
  assert.ok(relay !== undefined)
  assert.equal(
    describeOpenRelay(relay),
    'open relay: on eth0 port 25 this rule lets a stranger send to other servers (from <stranger@relaytest.invalid> to <victim@relaytest.invalid>)',
  )
})
