import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { type ScriptedSession, startServer } from '../../shared/smtp-client/testing.ts'
import { type DnsServer, startDns } from '../support/dns.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { bodyOf, idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const conf = `listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "out" relay
match from local for any action "out"
`

type Script = (session: ScriptedSession) => Promise<void> | void
type Stage = 'banner' | 'EHLO' | 'MAIL' | 'RCPT' | 'DATA'

const stages: readonly Stage[] = ['banner', 'EHLO', 'MAIL', 'RCPT', 'DATA']

/** A host that does what it should up to a stage, and from there on what the script says. */
function badAt(stage: Stage, misbehave: Script): Script {
  return async (session) => {
    if (stage === 'banner') return misbehave(session)
    session.say('220 bad.test ESMTP')
    for (let line = await session.line(); line !== undefined; line = await session.line()) {
      if (line.startsWith(stage)) return misbehave(session)
      session.say('250 2.0.0 ok')
    }
  }
}

/** Takes the envelope; the content is the script's. */
function badContent(misbehave: Script): Script {
  return badAt('DATA', (session) => {
    session.say('354 go on')
    return misbehave(session)
  })
}

const ways: Readonly<Record<string, Script>> = {
  'hangs up': (session) => session.hangUp(),
  'resets the connection': (session) => {
    session.socket.resetAndDestroy()
  },
  'says 421 and hangs up': (session) => {
    session.socket.end('421 4.3.2 going down\r\n')
  },
  'talks of something else': (session) => session.say('HTTP/1.1 400 Bad Request', 'Connection: close', ''),
  'sends octets of no language': (session) => {
    session.socket.write(Buffer.from([0x16, 0x03, 0x01, 0x00, 0xff, 0x0d, 0x0a, 0x00, 0x0a]))
  },
  'never ends its line': async (session) => {
    while (!session.socket.destroyed) {
      session.socket.write('2'.repeat(65_536))
      await nextTurn()
    }
  },
  'never ends its reply': async (session) => {
    while (!session.socket.destroyed) {
      session.socket.write('250-and more\r\n'.repeat(1_000))
      await nextTurn()
    }
  },
}

describe('a mail host that misbehaves', () => {
  const closing: { close(): Promise<void> }[] = []
  let good: MailSink
  let dns: DnsServer
  let system: MailSystem
  let hosts = 0

  before(async () => {
    good = await startMailSink({ host: '127.0.0.2' })
    dns = await startDns({ 'good.test': { MX: [[10, 'mx.good.test']] }, 'mx.good.test': { A: ['127.0.0.2'] } })
    system = await MailSystem.start({
      conf,
      pipeline: `resolver "${dns.address}"\nrelay port ${good.port}\nlane default back-off off\n`,
    })
  })

  after(async () => {
    await system.stop()
    for (const one of closing) await one.close()
    await good.stop()
    await dns.stop()
  })

  /** A domain of its own with this host as its best one. */
  async function domainOf(script: Script, others: readonly (readonly [number, string])[] = []): Promise<string> {
    hosts += 1
    const [name, address] = [`bad${hosts}.test`, `127.0.1.${hosts}`]
    const server = await startServer(async (session) => script(session), { host: address, port: good.port })
    closing.push(server)
    dns.set({ [name]: { MX: [[10, `mx.${name}`], ...others] }, [`mx.${name}`]: { A: [address] } })
    return name
  }

  const withSecond = (script: Script): Promise<string> => domainOf(script, [[20, 'mx.good.test']])

  async function send(id: string, domain: string, body = 'hello', to = [`ann@${domain}`]): Promise<string> {
    const from = 'jane@sluice.test'
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to, content: testMessage({ id, from, to: to[0] ?? '', body }) })
    await client.quit()
    return idOf(reply)
  }

  /** The event comes before the job is back in its queue: asked for until it is done. */
  async function tryAgain(id: string, isDone: () => boolean): Promise<void> {
    const endsAt = Date.now() + 120_000
    while (!isDone() && Date.now() < endsAt) await system.ctl('schedule', id)
    assert.ok(isDone(), 'it never came')
  }

  for (const [way, misbehave] of Object.entries(ways)) {
    for (const stage of stages) {
      test(`${way} at ${stage}: the next one gets the mail, once`, async () => {
        const domain = await withSecond(badAt(stage, misbehave))
        await send(domain, domain)
        await good.waitForMessage((one) => one.id === domain)
        assert.equal(good.copies.get(domain), 1)
      })
    }
  }

  test('hangs up in the middle of the content: the mail waits with the reason, and arrives once', async () => {
    const taken: string[] = []
    let first = true
    const domain = await domainOf(
      badContent(async (session) => {
        if (first) {
          first = false
          return session.hangUp()
        }
        taken.push((await session.content()) ?? '')
        session.say('250 2.0.0 taken')
      }),
    )
    const id = await send(domain, domain, bodyOf(domain, 2_000_000))
    const delayed = await system.waitForEvent('delayed', id)
    assert.match(String(delayed['reply']), /^451 4\.4\.2 lost connection with mx\.bad/)
    await tryAgain(id, () => taken.length > 0)
    await system.waitForEvent('relayed', id)
    assert.equal(taken.length, 1)
  })

  test('takes the mail and is gone before it says so: the mail comes once more, and no third time', async () => {
    const taken: string[] = []
    const domain = await domainOf(
      badContent(async (session) => {
        taken.push((await session.content()) ?? '')
        if (taken.length === 1) session.hangUp()
        else session.say('250 2.0.0 taken')
      }),
    )
    const id = await send(domain, domain)
    await system.waitForEvent('delayed', id)
    await tryAgain(id, () => taken.length > 1)
    await system.waitForEvent('relayed', id)
    assert.equal(taken.length, 2)
    assert.equal(taken[0], taken[1])
  })

  test('refuses in the middle of the content and hangs up: what it said counts', async () => {
    const domain = await domainOf(
      badContent((session) => {
        session.socket.end('552 5.3.4 that is too much\r\n')
      }),
    )
    const id = await send(domain, domain, bodyOf(domain, 2_000_000))
    const failed = await system.waitForEvent('failed', id)
    assert.match(String(failed['reply']), /^552 5\.3\.4 that is too much/)
  })

  test('answers octet by octet, and with codes that differ within a reply: it gets the mail', async () => {
    const taken: string[] = []
    const spell = async (session: ScriptedSession, text: string): Promise<void> => {
      for (const letter of text) {
        session.socket.write(letter)
        await nextTurn()
      }
    }
    const domain = await domainOf(async (session) => {
      await spell(session, '220-welcome\r\n220 to bad.test\r\n')
      for (let line = await session.line(); line !== undefined; line = await session.line()) {
        if (line === 'DATA') {
          await spell(session, '354 go\r\n')
          taken.push((await session.content()) ?? '')
        }
        await spell(session, '550-this is\r\n250 fine\r\n')
      }
    })
    const id = await send(domain, domain)
    await system.waitForEvent('relayed', id)
    assert.equal(taken.length, 1)
  })

  test('answers each recipient differently: each gets its own outcome, and what was delivered is not sent again', async () => {
    const taken: string[][] = []
    let greylisted = true
    const domain = await domainOf(async (session) => {
      let rcpt: string[] = []
      session.say('220 bad.test ESMTP')
      for (let line = await session.line(); line !== undefined; line = await session.line()) {
        if (line.startsWith('MAIL')) rcpt = []
        if (line.includes('<never@')) session.say('550 5.1.1 No such user here')
        else if (line.includes('<later@') && greylisted) session.say('451 4.7.1 Greylisted, come back')
        else if (line === 'DATA') {
          session.say('354 go on')
          await session.content()
          taken.push(rcpt)
          session.say('250 2.0.0 taken')
        } else {
          if (line.startsWith('RCPT')) rcpt.push(line.replace(/^.*<(.*)@.*$/, '$1'))
          session.say('250 2.0.0 ok')
        }
      }
    })
    const to = ['now', 'never', 'later'].map((user) => `${user}@${domain}`)
    const id = await send(domain, domain, 'hello', to)
    const events = await Promise.all(['relayed', 'failed', 'delayed'].map((event) => system.waitForEvent(event, id)))
    assert.deepEqual(
      events.map((event) => event['recipient']),
      to,
    )
    assert.match(String(events[2]?.['reply']), /^451 4\.7\.1 Greylisted/)
    greylisted = false
    await tryAgain(id, () => taken.length > 1)
    assert.deepEqual(taken, [['now'], ['later']])
  })

  test('falls silent: nobody else waits for it, and after a restart the mail arrives, once', async () => {
    const taken: string[] = []
    let silent = true
    const domains: string[] = []
    const reached: Promise<void>[] = []
    for (const stage of stages) {
      let arrived: (() => void) | undefined
      reached.push(
        new Promise((resolve) => {
          arrived = resolve
        }),
      )
      domains.push(
        await domainOf((session) =>
          silent
            ? badAt(stage, () => arrived?.())(session)
            : badContent(async (again) => {
                taken.push(/^X-Test-Id: (.*)\r$/m.exec((await again.content()) ?? '')?.[1] ?? '')
                again.say('250 2.0.0 taken')
              })(session),
        ),
      )
    }
    await Promise.all(domains.map((domain) => send(domain, domain)))
    await Promise.all(reached)
    await send('meanwhile', 'good.test')
    await good.waitForMessage((one) => one.id === 'meanwhile')
    await system.kill('relay', 'SIGTERM')
    silent = false
    await system.restart('relay')
    await tryAgain('all', () => taken.length >= domains.length)
    assert.deepEqual(taken.toSorted(), domains.toSorted())
  })

  test('answers every connection with 421: it is left alone, others are served, and all mail arrives, once', async () => {
    let storm = true
    const stormy = await startMailSink({
      host: '127.0.0.3',
      port: good.port,
      respond: ({ stage }) => (storm && stage === 'connect' ? '421 4.7.0 Too many connections' : undefined),
    })
    closing.push({ close: () => stormy.stop() })
    dns.set({ 'storm.test': { MX: [[10, 'mx.storm.test']] }, 'mx.storm.test': { A: ['127.0.0.3'] } })
    await system.waitForEvent('delayed', await send('storm-first', 'storm.test'))
    const names = Array.from({ length: 20 }, (_, nth) => `storm-${nth}`)
    await Promise.all(names.map((name) => send(name, 'storm.test')))
    await send('besides', 'good.test')
    await good.waitForMessage((one) => one.id === 'besides')
    const { connections } = stormy
    assert.ok(connections <= 4, `${connections} connections for ${names.length + 1} messages`)
    storm = false
    await tryAgain('all', () => stormy.copies.size > names.length)
    assert.equal(stormy.messages.length, names.length + 1, 'each came once')
  })
})
