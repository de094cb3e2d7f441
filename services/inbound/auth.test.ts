import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { AuthSettings, LoginSetting } from '../../shared/config/model.ts'
import { formatScramSecret, scramSecretOf } from '../../shared/crypt/scram-secret.ts'
import { scramAnswer, scramHello, startAuthService, startHttp } from '../../shared/login/testing.ts'
import { plain, SmtpClient } from '../../test/support/smtp-client.ts'
import { credentials, inlineMap, startInbound, testPipeline } from './testing.ts'
import { dialogue } from './testing-session.ts'
import type { TestInbound } from './testing.ts'

const secrets = inlineMap('secrets', { jane: formatScramSecret(scramSecretOf('secret', undefined, 4_096)) })
const all = ['PLAIN', 'LOGIN', 'SCRAM-SHA-256', 'OAUTHBEARER', 'XOAUTH2'] as const

test('only mechanisms that are asked for and can be carried out are offered, never ANONYMOUS', async (t) => {
  const inbound = await start(t, [{ kind: 'table', table: secrets }], { mechanisms: ['SCRAM-SHA-256', 'XOAUTH2'] })
  const client = await secured(t, inbound)
  const { raw } = await client.command('EHLO x')
  assert.match(raw, /AUTH SCRAM-SHA-256$/m)
  assert.doesNotMatch(raw, /AUTH=/)
  for (const mechanism of ['PLAIN', 'ANONYMOUS', 'XOAUTH2', 'SCRAM-SHA-256-PLUS'])
    assert.match((await client.command(`AUTH ${mechanism}`)).raw, /^504 5\.5\.4 /)
})

test('SCRAM-SHA-256 with and without an initial response, and PLAIN with the same secret', async (t) => {
  const inbound = await start(t, [{ kind: 'table', table: secrets }], { mechanisms: all })
  for (const initial of [true, false]) {
    assert.deepEqual(await scram(await secured(t, inbound), 'jane', 'secret', initial), ['334', '235 2.7.0'])
    assert.deepEqual(await scram(await secured(t, inbound), 'jane', 'wrong', initial), ['535 5.7.8'])
    assert.deepEqual(await scram(await secured(t, inbound), 'ghost', 'secret', initial), ['535 5.7.8'])
  }
  const client = await secured(t, inbound)
  assert.match((await client.command(`AUTH PLAIN ${plain('jane', 'secret')}`)).raw, /^235 2\.7\.0/)
})

test('a user whose hash is of another kind cannot use SCRAM, and looks like one that is not there', async (t) => {
  const inbound = await start(t, [{ kind: 'table', table: credentials }], { mechanisms: all })
  assert.deepEqual(await scram(await secured(t, inbound), 'jane', 'secret', true), ['535 5.7.8'])
})

test('SCRAM is handed through to Dovecot for users that no table before it has', async (t) => {
  const service = await startAuthService({
    answer: ([word, id = '']) =>
      word === 'AUTH' ? `CONT\t${id}\t${b64('r=rOprNGfwEbeRWgbNEkqOx,s=eA==,i=1')}\n` : `OK\t${id}\tuser=joe\n`,
  })
  t.after(() => service.close())
  const backends = [
    { kind: 'table', table: secrets },
    { kind: 'dovecot', place: service.place },
  ] as const
  const inbound = await start(t, backends, { mechanisms: all })
  const client = await secured(t, inbound)
  assert.equal((await client.command(`AUTH SCRAM-SHA-256 ${b64(scramHello('joe'))}`)).code, 334)
  assert.match((await client.command(b64('c=biws,r=x,p=eA=='))).raw, /^235/)
  assert.deepEqual(await scram(await secured(t, inbound), 'jane', 'secret', true), ['334', '235 2.7.0'])

  const leaving = await secured(t, inbound)
  await leaving.command(`AUTH SCRAM-SHA-256 ${b64(scramHello('joe'))}`)
  assert.match((await leaving.command('*')).raw, /^501 5\.7\.0 Authentication aborted/)
  assert.equal((await leaving.command('NOOP')).code, 250)
})

test('a token lets in; a wrong one is explained before it is refused', async (t) => {
  const service = await startHttp((body) => ({
    status: 200,
    body: JSON.stringify(body.includes('good') ? { active: true, username: 'jane' } : { active: false }),
  }))
  t.after(() => service.close())
  const backend = { kind: 'oauth', introspectUrl: service.url, userField: 'username', timeoutMs: 60_000 } as const
  const inbound = await start(t, [backend], { mechanisms: ['OAUTHBEARER', 'XOAUTH2'] })
  const messages = {
    OAUTHBEARER: (token: string) => `n,a=jane,\x01host=mx.sluice.test\x01auth=Bearer ${token}\x01\x01`,
    XOAUTH2: (token: string) => `user=jane\x01auth=Bearer ${token}\x01\x01`,
  }
  for (const [mechanism, message] of Object.entries(messages)) {
    const client = await secured(t, inbound)
    for (const malformed of [message('a b'), message(''), message('x').replace('auth=', ''), `p=x,${message('good')}`])
      assert.match((await client.command(`AUTH ${mechanism} ${b64(malformed)}`)).raw, /^501 5\.5\.2/)
    const refusal = await client.command(`AUTH ${mechanism} ${b64(message('stolen'))}`)
    assert.deepEqual([refusal.code, fromB64(refusal.lines[0] ?? '')], [334, '{"status":"invalid_token"}'])
    assert.match((await client.command('AQ==')).raw, /^535 5\.7\.8/)
    assert.match((await client.command(`AUTH ${mechanism} ${b64(message('good'))}`)).raw, /^235 2\.7\.0/)
  }
  assert.equal(inbound.events.filter((name) => name === 'authenticated').length, 2)
})

test('a malformed step is a syntax error, and the session goes on', async (t) => {
  const inbound = await start(t, [{ kind: 'table', table: secrets }], { mechanisms: all })
  const client = await secured(t, inbound)
  await dialogue(client, [
    ['AUTH', '501 5.5.4'],
    ['AUTH CRAM-MD5', '504 5.5.4'],
    ['AUTH ANONYMOUS', '504 5.5.4'],
    [`AUTH PLAIN ${plain('jane', 'secret')} more`, '501 5.5.4'],
    ['AUTH PLAIN !!!!', '501 5.5.2'],
    ['AUTH PLAIN ====', '501 5.5.2'],
    ['AUTH PLAIN YWJj', '501 5.5.2'],
    ['AUTH PLAIN =', '501 5.5.2'],
    [`AUTH PLAIN ${b64('\0ja\0ne\0secret')}`, '501 5.5.2'],
    [`AUTH LOGIN ${b64('jane\0')}`, '501 5.5.2'],
    ['AUTH LOGIN', '334'],
    ['*', '501 5.7.0'],
    ['AUTH LOGIN =', '334'],
    ['MAIL FROM:<a@b.test>', '501 5.5.2'],
    ['AUTH LOGIN', '334'],
    ['x'.repeat(20_000), '500 5.5.6'],
    ['NOOP', '250'],
  ])
  const other = await secured(t, inbound)
  await dialogue(other, [
    [`AUTH SCRAM-SHA-256 ${b64('n,,n=jane')}`, '501 5.5.2'],
    [`AUTH SCRAM-SHA-256 ${b64('n,,n=ja\tne,r=x')}`, '501 5.5.2'],
    [`AUTH SCRAM-SHA-256 ${b64('p=tls-unique,,n=jane,r=x')}`, '501 5.5.2'],
    [`AUTH SCRAM-SHA-256 ${b64('n,,m=x,n=jane,r=x')}`, '501 5.5.2'],
    ['NOOP', '250'],
  ])
})

test('a client that leaves in the middle of an exchange leaves nothing behind', async (t) => {
  const inbound = await start(t, [{ kind: 'table', table: secrets }], { mechanisms: all })
  const client = await secured(t, inbound)
  await client.command('AUTH LOGIN')
  const gone = inbound.nextEvent('disconnected')
  client.destroy()
  await gone
})

test('without TLS passwords are taken only where the configuration says so', async (t) => {
  for (const withoutTls of [true, false]) {
    const inbound = await start(t, [{ kind: 'table', table: secrets }], { withoutTls })
    const client = await SmtpClient.ready({ port: inbound.port })
    t.after(() => client.destroy())
    const { raw } = await client.command('EHLO x')
    assert.equal(/AUTH PLAIN LOGIN/.test(raw), withoutTls)
    assert.match(
      (await client.command('MAIL FROM:<a@b.c>')).raw,
      withoutTls ? /^530 5\.7\.0 Auth/ : /^530 5\.7\.0 Must/,
    )
    const answer = await client.command(`AUTH PLAIN ${plain('jane', 'secret')}`)
    assert.equal(answer.code, withoutTls ? 235 : 530)
  }
})

async function start(
  t: TestContext,
  login: readonly LoginSetting[],
  auth: Partial<AuthSettings> = {},
): Promise<TestInbound> {
  const pipeline = { ...testPipeline, login, auth: { ...testPipeline.auth, ...auth } }
  const inbound = await startInbound({
    listener: { tls: 'offered', auth: { kind: 'required' } },
    configuration: { pipeline },
  })
  t.after(() => inbound.close())
  return inbound
}

async function secured(t: TestContext, inbound: TestInbound): Promise<SmtpClient> {
  const client = await SmtpClient.ready({ port: inbound.port, starttls: true })
  t.after(() => client.destroy())
  return client
}

/** The replies behind the server's challenge, shortened. */
async function scram(client: SmtpClient, user: string, password: string, initial: boolean): Promise<string[]> {
  const first = initial ? undefined : await client.command('AUTH SCRAM-SHA-256')
  assert.equal(first?.raw.trim() ?? '334', '334')
  const challenge = await client.command(
    initial ? `AUTH SCRAM-SHA-256 ${b64(scramHello(user))}` : b64(scramHello(user)),
  )
  assert.equal(challenge.code, 334)
  const replies: string[] = []
  let line = scramAnswer(user, password, Buffer.from(challenge.lines[0] ?? '', 'base64')).toString('base64')
  for (;;) {
    const { code, raw } = await client.command(line)
    replies.push(code === 334 ? '334' : raw.slice(0, 9))
    if (code !== 334) return replies
    line = ''
  }
}

function b64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function fromB64(text: string): string {
  return Buffer.from(text, 'base64').toString()
}
