import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { silentLog } from '../log.ts'
import { polite, startServer } from '../smtp-client/testing.ts'
import type { PoliteOptions, TakenMessage } from '../smtp-client/testing.ts'
import { openLmtpDirectory } from './lmtp-directory.ts'

/** A directory over a server that answers RCPT by the script, and the commands it was given. */
async function directoryOver(t: TestContext, options: PoliteOptions) {
  const commands: string[] = []
  const taken: TakenMessage[] = []
  const note = (reply: string) => (line: string) => {
    commands.push(line)
    return reply
  }
  const server = await startServer(
    polite(taken, {
      protocol: 'lmtp',
      ...options,
      mailReply: options.mailReply ?? note('250 2.1.0 ok'),
      rcptReply: (line) => {
        commands.push(line)
        return options.rcptReply?.(line) ?? '250 2.1.5 ok'
      },
    }),
  )
  t.after(() => server.close())
  const clock = { nowMs: 0 }
  const directory = openLmtpDirectory({
    destination: `127.0.0.1:${server.port}`,
    helo: 'mx.example.org',
    log: silentLog(),
    now: () => clock.nowMs,
  })
  t.after(() => directory.close())
  return { directory, commands, taken, server, clock }
}

test('a mailbox is there when RCPT is accepted, and no message is sent', async (t) => {
  const { directory, commands, taken } = await directoryOver(t, {})
  assert.deepEqual(await directory.check('userinfo', 'joe'), { value: '', keepMs: 300_000 })
  assert.deepEqual([commands, taken], [['MAIL FROM:<>', 'RCPT TO:<joe>'], []])
})

test('only "no such user" is a no; a full mailbox, a policy or a temporary trouble is none', async (t) => {
  const replies: Readonly<Record<string, string>> = {
    nobody: "550 5.1.1 <nobody> User doesn't exist",
    plain: '550 no such user',
    full: '552 5.2.2 Mailbox is full',
    policy: '554 5.7.1 not you',
    later: '451 4.3.0 later',
  }
  const rcptReply = (line: string): string => replies[/<(.*)>/.exec(line)?.[1] ?? ''] ?? '250 ok'
  const { directory } = await directoryOver(t, { rcptReply })
  const answers = await Promise.all(Object.keys(replies).map((user) => directory.check('userinfo', user)))
  assert.deepEqual(answers, [
    { value: undefined, keepMs: 60_000 },
    { value: undefined, keepMs: 60_000 },
    { value: '', keepMs: 0 },
    { value: '', keepMs: 0 },
    { value: '', keepMs: 0 },
  ])
})

test('a server that refuses the null sender says nothing of its users', async (t) => {
  const { directory } = await directoryOver(t, { mailReply: () => '550 5.1.1 not from you' })
  assert.deepEqual(await directory.check('userinfo', 'joe'), { value: '', keepMs: 0 })
})

test('while the server is away its users count as known, and it is left alone for a moment', async (t) => {
  const { directory, server, clock } = await directoryOver(t, {})
  await server.close()
  assert.deepEqual(await directory.check('userinfo', 'ann'), { value: '', keepMs: 0 })
  const again = await startServer(polite([], { rcptReply: () => '550 5.1.1 nobody' }), { port: server.port })
  t.after(() => again.close())
  assert.deepEqual(await directory.check('userinfo', 'ann'), { value: '', keepMs: 0 })
  clock.nowMs += 5_000
  assert.deepEqual(await directory.check('userinfo', 'ann'), { value: undefined, keepMs: 60_000 })
})
