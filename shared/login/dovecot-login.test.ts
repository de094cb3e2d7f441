import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import fc from 'fast-check'

import { openDovecotLogin } from './dovecot-login.ts'
import type { DovecotLogin } from './dovecot-login.ts'
import { LoginUnavailableError } from './login-backend.ts'
import { responseOf, startAuthService, usualHandshake } from './testing.ts'
import type { TestAuthService, TestAuthServiceOptions } from './testing.ts'

const client = { address: '192.0.2.7', secure: true }

test('a right password lets in under the name Dovecot knows, a wrong one does not', async (t) => {
  const { login, service } = await start(t)
  assert.deepEqual(await login.checkPassword('Jane', 'secret', client), { kind: 'accepted', user: 'jane' })
  assert.deepEqual(await login.checkPassword('jane', 'wrong', client), { kind: 'refused' })
  assert.equal(service.connections(), 1)
  const asked = service.lines.find((line) => line.startsWith('AUTH'))
  assert.equal(
    asked,
    `AUTH\t1\tPLAIN\tservice=smtp\tnologin\trip=192.0.2.7\tsecured\tresp=${Buffer.from('\0Jane\0secret').toString('base64')}`,
  )
})

test('whatever a client calls itself, Dovecot sees one line with one user', async (t) => {
  const { login, service } = await start(t)
  const hostile = fc.string({ unit: fc.constantFrom('\t', '\n', '\r', '\x01', '\0', 'a', '=', 'ü') })
  await fc.assert(
    fc.asyncProperty(hostile, hostile, async (user, password) => {
      const before = service.lines.length
      await login.checkPassword(user, password, { address: `fe80::1%a\tuser=root\n${user}`, secure: false })
      const [line, ...more] = service.lines.slice(before).filter((one) => !/^(?:VERSION|CPID)/.test(one))
      assert.equal(more.length, 0)
      if (user.includes('\0') || password.includes('\0')) return assert.equal(line, undefined)
      assert.match(line ?? '', /^AUTH\t\d+\tPLAIN\tservice=smtp\tnologin\trip=fe80::1\tresp=[\w+/]+=*$/)
    }),
    { numRuns: 100 },
  )
})

test('logins wait for each other only as Dovecot has them wait', async (t) => {
  const held: (() => void)[] = []
  const { login, service } = await start(t, {
    answer([, id = '', , ...fields], send) {
      if (!responseOf(fields).includes('slow')) return `OK\t${id}\tuser=fast\n`
      held.push(() => send(`OK\t${id}\tuser=slow\n`))
      return undefined
    },
  })
  const slow = login.checkPassword('slow', 'x', client)
  assert.deepEqual(await login.checkPassword('fast', 'x', client), { kind: 'accepted', user: 'fast' })
  for (const release of held) release()
  assert.deepEqual(await slow, { kind: 'accepted', user: 'slow' })
  assert.equal(service.connections(), 1)
})

for (const [what, answer] of Object.entries({
  'a temporary failure': 'FAIL\tID\tuser=jane\ttemp\n',
  'a temporary failure of Dovecot 2.3': 'FAIL\tID\tuser=jane\tcode=temp_fail\treason=SQL is away\n',
  'a user without a name': 'OK\tID\n',
  'a question after PLAIN': 'CONT\tID\tPA==\n',
})) {
  test(`${what} is never a wrong password`, async (t) => {
    const { login } = await start(t, { answer: ([, id = '']) => answer.replace('ID', id) })
    await assert.rejects(login.checkPassword('jane', 'secret', client), LoginUnavailableError)
  })
}

for (const [what, answer] of Object.entries({
  'who may not log in': 'OK\tID\tuser=jane\tnologin\treason=closed\n',
  'whose account is disabled': 'FAIL\tID\tuser=jane\tcode=user_disabled\n',
  'whose name would split a line': 'OK\tID\tuser=ja\x01nne\n',
})) {
  test(`a user ${what} is refused`, async (t) => {
    const { login } = await start(t, { answer: ([, id = '']) => answer.replace('ID', id) })
    assert.deepEqual(await login.checkPassword('jane', 'secret', client), { kind: 'refused' })
  })
}

test('a restart of Dovecot behind an idle connection is not noticed', async (t) => {
  const { login, service } = await start(t)
  await login.checkPassword('jane', 'secret', client)
  service.drop()
  assert.equal((await login.checkPassword('jane', 'secret', client)).kind, 'accepted')
})

test('a login that waits while Dovecot restarts is asked again', async (t) => {
  let first = true
  const { login, service } = await start(t, {
    answer([, id = '']) {
      if (!first) return `OK\t${id}\tuser=jane\n`
      first = false
      service.drop()
      return undefined
    },
  })
  assert.equal((await login.checkPassword('jane', 'secret', client)).kind, 'accepted')
  assert.equal(service.connections(), 2)
})

test('while Dovecot is away nobody is refused, and when it is back logins go on', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'auth-'))
  t.after(() => rm(folder, { recursive: true }))
  const { login, service } = await start(t, { answer: usualAnswer, path: join(folder, 'auth-client') })
  await login.checkPassword('jane', 'secret', client)
  await service.close()
  for (let attempt = 0; attempt < 2; attempt += 1)
    await assert.rejects(login.checkPassword('jane', 'secret', client), LoginUnavailableError)
  await service.reopen()
  assert.equal((await login.checkPassword('jane', 'secret', client)).kind, 'accepted')
})

test('a Dovecot that never answers costs a time limit and its connection', async (t) => {
  let silent = true
  const { login, service } = await start(
    t,
    { answer: ([, id = '']) => (silent ? undefined : `OK\t${id}\tuser=jane\n`) },
    { connectMs: 30_000, answerMs: 20, idleMs: 30_000 },
  )
  await assert.rejects(login.checkPassword('jane', 'secret', client), /no answer within 20 ms/)
  silent = false
  const again = openDovecotLogin(service.place)
  t.after(() => again.close())
  assert.equal((await again.checkPassword('jane', 'secret', client)).kind, 'accepted')
})

for (const [what, handshake] of Object.entries({
  'another version of the protocol': usualHandshake.replace('VERSION\t1', 'VERSION\t2'),
  'a mail server': '220 mx.example.org ESMTP\r\n',
  'endless talk': `VERSION\t1\t2\n${'x'.repeat(70_000)}`,
})) {
  test(`${what} at its place is a temporary failure`, async (t) => {
    const { login } = await start(t, { handshake, answer: () => undefined })
    await assert.rejects(login.checkPassword('jane', 'secret', client), LoginUnavailableError)
  })
}

test('an idle connection is let go, since Dovecot stops only when its clients are gone; one in use is kept', async (t) => {
  const { login, service } = await start(
    t,
    {
      answer: ([word, id = '', , ...fields]) =>
        word === 'CONT' || !responseOf(fields).includes('long') ? `OK\t${id}\tuser=jane\n` : `CONT\t${id}\t\n`,
    },
    { connectMs: 30_000, answerMs: 30_000, idleMs: 1 },
  )
  const step = await login.begin('SCRAM-SHA-256', Buffer.from('long'), client)
  await login.checkPassword('jane', 'x', client)
  assert.ok(step.kind === 'challenge')
  assert.equal(service.connections(), 1)
  assert.equal((await step.answer(Buffer.from(''))).kind, 'accepted')
  await service.empty()
  assert.equal((await login.checkPassword('jane', 'x', client)).kind, 'accepted')
  assert.equal(service.connections(), 2)
})

test('a line that Dovecot would hang up on is not sent', async (t) => {
  const { login, service } = await start(t)
  assert.deepEqual(await login.checkPassword('jane', 'x'.repeat(17_000), client), { kind: 'refused' })
  assert.equal(service.lines.filter((line) => line.startsWith('AUTH')).length, 0)
})

test('a SASL exchange of several steps goes through, and ends when the client gives up', async (t) => {
  const { login, service } = await start(t, {
    answer: ([word, id = '', ...rest]) =>
      word === 'AUTH'
        ? `CONT\t${id}\t${Buffer.from('who are you?').toString('base64')}\n`
        : responseOf(['', '', rest[0] ?? '']) === 'jane'
          ? `OK\t${id}\tuser=jane\n`
          : `FAIL\t${id}\n`,
  })
  for (const [response, expected] of [
    ['jane', 'accepted'],
    ['john', 'refused'],
  ] as const) {
    const step = await login.begin('SCRAM-SHA-256', undefined, client)
    assert.ok(step.kind === 'challenge')
    assert.equal(step.challenge.toString(), 'who are you?')
    assert.equal((await step.answer(Buffer.from(response))).kind, expected)
  }
  const step = await login.begin('SCRAM-SHA-256', Buffer.from(''), client)
  assert.ok(step.kind === 'challenge')
  step.cancel()
  await login.checkPassword('x', 'y', client).catch(() => undefined)
  assert.ok(service.lines.includes('CANCEL\t3'))
})

async function start(
  t: TestContext,
  options: TestAuthServiceOptions = { answer: usualAnswer },
  times?: Parameters<typeof openDovecotLogin>[1],
): Promise<{ readonly login: DovecotLogin; readonly service: TestAuthService }> {
  const service = await startAuthService(options)
  const login = openDovecotLogin(service.place, times)
  t.after(async () => {
    login.close()
    await service.close()
  })
  return { login, service }
}

function usualAnswer([, id = '', , ...fields]: readonly string[]): string {
  const [, user = '', password] = responseOf(fields).split('\0')
  return password === 'secret'
    ? `OK\t${id}\tuser=${user.toLowerCase().replaceAll(/[^a-z]/g, '')}\n`
    : `FAIL\t${id}\tuser=${user}\n`
}
