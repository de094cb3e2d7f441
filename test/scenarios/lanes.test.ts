import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { type DnsServer, startDns } from '../support/dns.ts'
import { freePort } from '../support/free-port.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

/** Destinations are told apart by the host of the relay URL. */
const conf = (stormy: number, calm: number): string => `listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "stormy" relay host "smtp://127.0.0.1:${stormy}"
action "calm" relay host "smtp://localhost:${calm}"
match from local for domain stormy.test action "stormy"
match from local for any action "calm"
`

const messages = 30

describe('a destination that asks for less', () => {
  let stormy: MailSink
  let calm: MailSink
  let system: MailSystem
  let storm = true

  before(async () => {
    stormy = await startMailSink({
      respond: ({ stage }) => (storm && stage === 'mail' ? '421 4.7.1 Too many messages, slow down' : undefined),
    })
    calm = await startMailSink()
    system = await MailSystem.start({
      conf: conf(stormy.port, calm.port),
      pipeline: 'lane "127.0.0.1" back-off 1s to 2s\nlane "localhost" rate 1000/1m messages\n',
      services: 'processes',
      processes: { relay: 2, filter: 0, signer: 0, delivery: 0, dashboard: 0 },
    })
  })

  after(async () => {
    await system.stop()
    await stormy.stop()
    await calm.stop()
  })

  async function send(id: string, to: string): Promise<string> {
    const from = 'jane@sluice.test'
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to: [to], content: testMessage({ id, from, to }) })
    await client.quit()
    return idOf(reply)
  }

  function suspensions(): number {
    return system.log.filter(({ event }) => event === 'suspended').length
  }

  test('is left alone by all relay processes, others are served meanwhile, and nothing is lost', async () => {
    const first = await send('first', 'ann@stormy.test')
    await system.waitForEvent('suspended', first)
    for (let nth = 0; nth < messages; nth++) {
      await send(`stormy-${nth}`, 'ann@stormy.test')
      await send(`calm-${nth}`, 'ann@calm.test')
    }
    await calm.waitForMessages(messages)
    await system.waitForLog(() => suspensions() >= 3)
    const connections = stormy.connections
    assert.ok(connections <= suspensions() + 1, `${connections} connections for ${suspensions()} suspensions`)
    storm = false

    const tried = new Set(system.log.filter(({ event }) => event === 'delayed').map(({ id }) => id))
    await stormy.waitForDistinct(messages + 1 - tried.size)
    // What was refused comes again on the schedule of all temporary refusals, minutes later.
    const endsAt = Date.now() + 120_000
    while (stormy.copies.size <= messages && Date.now() < endsAt) await system.ctl('schedule', 'all')
    assert.equal(stormy.messages.length, messages + 1, 'each came once')
  })
})

const byMx = `listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "out" relay
match from local for any action "out"
`

describe('domains with the same mail servers', () => {
  let dns: DnsServer
  let sink: MailSink
  let system: MailSystem
  let storm = true

  before(async () => {
    sink = await startMailSink({
      respond: ({ stage, argument }) =>
        storm && stage === 'rcpt' && argument.endsWith('@one.test')
          ? '421 4.7.1 Too many messages, slow down'
          : undefined,
    })
    dns = await startDns({
      'one.test': { MX: [[10, 'mx.shared.test']] },
      'two.test': { MX: [[5, 'MX.shared.test']] },
      'calm.test': { MX: [[10, 'mx.calm.test']] },
      'mx.shared.test': { A: ['127.0.0.1'] },
      'mx.calm.test': { A: ['127.0.0.1'] },
    })
    system = await MailSystem.start({
      conf: byMx,
      pipeline: `resolver "${dns.address}"\nrelay port ${sink.port}\nlane default back-off 10m to 1h\n`,
      services: 'processes',
      processes: { relay: 2, filter: 0, signer: 0, delivery: 0, dashboard: 0 },
    })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
    await dns.stop()
  })

  async function send(id: string, to: string): Promise<string> {
    const from = 'jane@sluice.test'
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to: [to], content: testMessage({ id, from, to }) })
    await client.quit()
    return idOf(reply)
  }

  async function waitsIn(lane: string, id: string): Promise<void> {
    const endsAt = Date.now() + 120_000
    for (;;) {
      const { jobs } = (await system.ctlJson('show', 'message', id)) as { jobs: { value: { lane?: string }[] } }
      if (jobs.value[0]?.lane === lane) return
      assert.ok(Date.now() < endsAt, `${id} does not wait in the lane ${lane}`)
    }
  }

  test('are left alone together, in all processes, and what is tried for one of them is tried for all', async () => {
    const one = await send('one', 'ann@one.test')
    assert.equal((await system.waitForEvent('suspended', one))['destination'], 'mx.shared.test')
    storm = false
    const two = await send('two', 'ann@two.test')
    await send('calm', 'ann@calm.test')
    await sink.waitForMessage(({ id }) => id === 'calm')
    await waitsIn('mx.shared.test', two)
    assert.equal(sink.copies.size, 1, 'nothing went to the servers that asked for less')
    await system.ctl('schedule', two)
    await sink.waitForMessage(({ id }) => id === 'two')
    await system.ctl('schedule', one)
    await sink.waitForMessage(({ id }) => id === 'one')
  })
})

describe('a destination that nobody listens at', () => {
  let revived: MailSink | undefined
  let calm: MailSink
  let system: MailSystem
  let dead = 0
  const many = 300

  before(async () => {
    calm = await startMailSink()
    dead = await freePort()
    system = await MailSystem.start({
      conf: conf(dead, calm.port),
      pipeline: 'lane "127.0.0.1" back-off 10m to 1h\n',
    })
  })

  after(async () => {
    await system.stop()
    await calm.stop()
    await revived?.stop()
  })

  async function send(from: string, to: string, count: number): Promise<readonly string[]> {
    const ids: string[] = []
    for (let nth = 0; nth < count; nth += 50) {
      const client = await SmtpClient.ready({ port: system.port('smtp') })
      for (let each = nth; each < Math.min(count, nth + 50); each++) {
        const content = testMessage({ id: `${to}-${each}`, from, to })
        ids.push(idOf(await client.send({ from, to: [to], content })))
      }
      await client.quit()
    }
    return ids
  }

  test('costs a few attempts, not one for each message, and delays nobody; what is tried once it is back brings all others', async () => {
    const ids = await send('many@sender.test', 'ann@stormy.test', many)
    await send('jane@sluice.test', 'ann@calm.test', 1)
    await calm.waitForMessages(1)
    const endsAt = Date.now() + 120_000
    const untried = (): readonly string[] => {
      const tried = new Set(system.log.filter(({ event }) => event === 'delayed').map(({ id }) => id))
      return ids.filter((id) => !tried.has(id))
    }
    while (!(await allPutAside())) assert.ok(Date.now() < endsAt, 'not all of them were put aside')
    const waiting = untried()
    assert.ok(waiting.length > many / 2, `${many - waiting.length} of ${many} were tried`)

    revived = await startMailSink({ port: dead })
    await system.ctl('schedule', waiting.at(-1) ?? '')
    await revived.waitForDistinct(waiting.length)
  })

  async function allPutAside(): Promise<boolean> {
    return (await system.ownRedis('zcard', 'sluice:relay:delayed')) === `:${many}`
  }
})
