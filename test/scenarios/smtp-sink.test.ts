import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { MailSystem } from '../support/mail-system.ts'
import { bodyOf, idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { type SmtpSink, startSmtpSink } from '../support/smtp-sink.ts'

interface Case {
  /** Of smtp-sink(1). */
  readonly args: string
  readonly outcome: 'relayed' | 'delayed' | 'failed'
  readonly reply: RegExp
}

const taken = { outcome: 'relayed', reply: /^250 / } as const
const soft = { outcome: 'delayed', reply: /450 4\.3\.0 Error: command failed$/ } as const
const hard = { outcome: 'failed', reply: /500 5\.3\.0 Error: command failed$/ } as const
const gone = { outcome: 'delayed', reply: /^451 4\.4\.2 .*(lost connection|did not answer)/ } as const
const closing = { outcome: 'delayed', reply: /421 4\.0\.0 / } as const

const cases: readonly Case[] = [
  { args: '', ...taken },
  // What a server does not offer.
  ...['-8', '-e', '-E', '-N', '-p', '-P', '-8 -E -N -p'].map((args) => ({ args, ...taken })),
  // Slow servers and small windows. With PIPELINING smtp-sink itself loses its way over a slow RCPT.
  ...['-w 1', '-p -W RCPT:1', '-W .:1', '-H 1 -T 2048'].map((args) => ({ args, ...taken })),
  // EHLO refused: HELO is what remains.
  ...['-f EHLO', '-f RSET', '-f QUIT', '-q QUIT', '-Q QUIT', '-r QUIT'].map((args) => ({ args, ...taken })),
  ...['CONNECT', 'EHLO,HELO', 'MAIL', 'RCPT', 'DATA', '.'].map((command) => ({ args: `-f ${command}`, ...hard })),
  ...['CONNECT', 'EHLO', 'MAIL', 'RCPT', 'DATA', '.'].map((command) => ({ args: `-r ${command}`, ...soft })),
  ...['CONNECT', 'EHLO', 'MAIL', 'RCPT', 'DATA', '.'].map((command) => ({ args: `-q ${command}`, ...gone })),
  ...['CONNECT', 'EHLO', 'MAIL', 'RCPT', 'DATA', '.'].map((command) => ({ args: `-Q ${command}`, ...closing })),
  { args: '-A 0', outcome: 'failed', reply: /^550 / },
]

const conf = (sinks: readonly SmtpSink[]): string => `listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
${sinks.map(({ port }, nth) => `action "to-${nth}" relay host "smtp://127.0.0.1:${port}"`).join('\n')}
${sinks.map((_, nth) => `match from local for domain "sink${nth}.test" action "to-${nth}"`).join('\n')}
`

describe('smtp-sink of Postfix as the next host', { skip: missingPeers('smtp-sink') }, () => {
  const sinks: SmtpSink[] = []
  let system: MailSystem

  before(async () => {
    for (const { args } of cases) sinks.push(await startSmtpSink({ args: args.split(' ').filter(Boolean) }))
    system = await MailSystem.start({ conf: conf(sinks), pipeline: 'lane default back-off off\n' })
  })

  after(async () => {
    await system.stop()
    for (const sink of sinks) await sink.stop()
  })

  for (const [nth, { args, outcome, reply }] of cases.entries()) {
    test(`${args || 'no option'}: the mail is ${outcome}, with the words of the server`, async () => {
      const [from, to] = ['jane@sluice.test', `ann@sink${nth}.test`]
      const content = testMessage({ id: `sink-${nth}`, from, to, body: bodyOf(to, 300_000) })
      const client = await SmtpClient.ready({ port: system.port('smtp') })
      const id = idOf(await client.send({ from, to: [to], content }))
      await client.quit()
      const event = await system.waitForEvent(outcome, id)
      assert.match(String(event['reply']), reply)
      if (outcome !== 'relayed') return
      await sinks[nth]?.waitForCount(1)
      assert.equal(sinks[nth]?.count, 1, 'it came once')
    })
  }

  test('a host that is frozen holds nobody up, and its mail arrives when it thaws', async () => {
    const [sink] = sinks
    assert.ok(sink !== undefined)
    const before = sink.count
    process.kill(sink.pid, 'SIGSTOP')
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const from = 'jane@sluice.test'
    const send = async (to: string): Promise<string> =>
      idOf(await client.send({ from, to: [to], content: testMessage({ id: to, from, to }) }))
    const frozen = [await send('one@sink0.test'), await send('two@sink0.test')]
    await system.waitForEvent('relayed', await send('ann@sink1.test'))
    process.kill(sink.pid, 'SIGCONT')
    await Promise.all(frozen.map((id) => system.waitForEvent('relayed', id)))
    await client.quit()
    assert.equal(sink.count, before + 2)
  })
})
