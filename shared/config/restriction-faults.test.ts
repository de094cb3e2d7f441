import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { ConfigurationError, loadConfiguration } from './load.ts'

const smtpdConf = '/none/smtpd.conf'
const pipelineConf = '/none/pipeline.conf'
const policy = [
  'listen on lo port 2525 tag Here',
  'listen on "::1" port 2526',
  'action "out" relay',
  'match for any action "out"',
].join('\n')

/** What is told, without what other files say. */
async function told(...restrictions: readonly string[]): Promise<readonly string[]> {
  const lines = restrictions.map((one) => `restrict ${one}`)
  const texts = new Map([
    [smtpdConf, policy],
    [pipelineConf, lines.join('\n')],
  ])
  try {
    const { warnings } = await loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mail.example.org', texts })
    return warnings.map((one) => `${one.code}@${one.span.line}: ${one.hint}`)
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return error.diagnostics.map((one) => `${one.severity} ${one.code}@${one.span.line}: ${one.hint}`)
  }
}

test('a restriction for a listener that is not there is refused, and the one that was meant is named', async () => {
  assert.deepEqual(
    await told('rcpt on "lo:2525" permit', 'rcpt on "[::1]:2526" permit', 'rcpt on lo permit', 'mail tag here permit'),
    [],
  )
  assert.deepEqual(await told('rcpt on "lo:2552" permit'), ['error unknown-name@1: did you mean "lo:2525"?'])
  assert.deepEqual(await told('rcpt tag There permit'), ['error unknown-name@1: did you mean "Here"?'])
})

test('without delay a list cannot ask for what comes later', async () => {
  assert.deepEqual(await told('delay on', 'connect reject sender non-fqdn'), [])
  assert.deepEqual(await told('delay off', 'helo reject helo unknown', 'rcpt reject helo invalid'), [])
  const cases: readonly (readonly [string, string])[] = [
    ['connect reject helo invalid', 'helo'],
    ['helo check sender { "a@b.c" = "REJECT" }', 'mail'],
    ['mail permit when recipient "a@b.c"', 'rcpt'],
    ['mail reject unauthorised-destination', 'rcpt'],
  ]
  for (const [rule, stage] of cases) {
    const hint = `write it in the list of ${stage}, or leave out \`restrict delay off\``
    assert.deepEqual(await told('delay off', rule), [`error conflict@2: ${hint}`], rule)
  }
})

test('without delay nobody has logged in yet at connect', async () => {
  assert.deepEqual(await told('connect permit authenticated'), [])
  const hint = 'write it in the list of mail or rcpt'
  assert.deepEqual(await told('delay off', 'connect permit authenticated'), [`no-effect@2: ${hint}`])
  assert.deepEqual(await told('delay off', 'mail permit authenticated'), [])
})

test('what stands behind the end of a list is named', async () => {
  const hint = 'put it before that one, or remove it'
  assert.deepEqual(await told('rcpt reject', 'rcpt permit authenticated'), [`unreachable@2: ${hint}`])
  assert.deepEqual(await told('rcpt permit', 'rcpt tag Here reject'), [`unreachable@2: ${hint}`])
  assert.deepEqual(await told('rcpt tag Here reject', 'rcpt permit authenticated'), [])
  assert.deepEqual(await told('rcpt reject when authenticated', 'mail reject', 'rcpt permit'), [])
})

test('a certificate that nobody is asked for is named', async () => {
  const hint = 'write `client-certificate ask` here, or `verify` at the listener in smtpd.conf'
  assert.deepEqual(await told('rcpt permit certificate verified'), [`no-effect@1: ${hint}`])
  assert.deepEqual(await told('rcpt check certificate { "AB" = "OK" }'), [`no-effect@1: ${hint}`])
  assert.deepEqual(await told('rcpt reject when certificate name { "a.example" }'), [`no-effect@1: ${hint}`])
})

test('pipelining anywhere but at DATA is named', async () => {
  const hint = 'write `restrict data reject pipelining`'
  assert.deepEqual(await told('connect reject pipelining'), [`restriction-order@1: ${hint}`])
  assert.deepEqual(await told('data reject pipelining'), [])
})

test('DNS that has a say about trusted clients is named', async () => {
  const permit = 'rcpt permit from 10.0.0.0/8'
  const hint = `put \`restrict ${permit}\` before it, when they are to be trusted`
  for (const rule of ['recipient unknown-domain', 'dnsbl "a.example"', 'helo unknown', 'client unknown'])
    assert.deepEqual(await told(`rcpt reject ${rule}`, permit), [`restriction-order@1: ${hint}`], rule)
  assert.deepEqual(await told(permit, 'rcpt reject recipient unknown-domain'), [])
  assert.deepEqual(await told('mail reject sender unknown-domain', permit), [])
  assert.deepEqual(await told('rcpt reject recipient non-fqdn', permit), [])
})

test('scores that nobody adds up are named', async () => {
  assert.equal((await told('rcpt dnsbl "a.example" score 2')).length, 1)
  assert.equal((await told('rcpt reject dnsbl-score 2')).length, 1)
  assert.deepEqual(await told('rcpt dnsbl "a.example" score 2', 'rcpt reject dnsbl-score 2'), [])
})

test("the second seed's lists are carried out, and their three oddities are named", async () => {
  const fixture = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/seeds/${name}`, import.meta.url))
  const load = async (seed: string): Promise<readonly string[]> => {
    const paths = { smtpdConf: fixture(`${seed}.smtpd.conf`), pipelineConf: fixture(`${seed}.pipeline.conf`) }
    const { warnings } = await loadConfiguration({ ...paths, hostname: 'mail.example.org' })
    return warnings.map((one) => `${one.code}: ${one.span.sourceLine}`)
  }
  assert.deepEqual(await load('s1'), [
    'restriction-order: restrict connect reject pipelining',
    'restriction-order: restrict mail reject sender unknown-domain',
    'restriction-order: restrict rcpt reject recipient unknown-domain',
  ])
  assert.deepEqual(await load('s0'), [])
})
