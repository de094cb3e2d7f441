import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { orderOf } from '../support/die-at.child.ts'
import type { DyingStep } from '../support/die-at.child.ts'
import { type MailSink, type SinkEvent, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { Changes } from '../support/until.ts'

/** The two that talk to a next hop, and what each says when it has taken the mail. */
const senders = { delivery: 'delivered', relay: 'relayed' } as const
type Sender = keyof typeof senders

/** What the next hop waits to say when the process dies. By reverse-path, so that all steps are reached at the same moment. */
const steps = {
  /** Before RCPT: MAIL has no answer. */
  mail: 'mail',
  /** RCPT is answered, 354 is not. */
  data: 'data',
  /** The final dot is here; the next hop sees the connection end and drops the message. */
  dropped: 'content',
  /** The final dot is here; the next hop takes the message, and its 250 reaches nobody. */
  taken: 'content',
} as const
type Step = keyof typeof steps

interface Held {
  readonly sink: MailSink
  /** Resolves when all steps are reached. */
  waitForAll(): Promise<void>
  /** The next hop goes on; nobody listens any more. */
  goOn(): void
}

/** A next hop that stops once at each of the steps, before it answers. */
async function holdingSink(protocol: 'lmtp' | 'smtp'): Promise<Held> {
  const reached = new Map<string, () => void>()
  const changes = new Changes()
  const respond = ({ stage, from = '', argument }: SinkEvent): Promise<string | undefined> | undefined => {
    const [name = ''] = (stage === 'mail' ? argument : from).split('@')
    if (!(name in steps) || steps[name as Step] !== stage || reached.has(name)) return undefined
    return new Promise((resolve) => {
      reached.set(name, () => resolve(name === 'taken' ? undefined : 'drop'))
      changes.changed()
    })
  }
  // Without PIPELINING each command waits for the answer to the one before.
  const sink = await startMailSink({ protocol, respond, extensions: ['8BITMIME', 'SIZE 1000000'] })
  return {
    sink,
    waitForAll: async () => {
      const all = Object.keys(steps).length
      await changes.until(
        120_000,
        () => `all of ${all} steps; reached: ${[...reached.keys()].join(' ')}`,
        () => (reached.size === all ? true : undefined),
      )
    },
    goOn: () => {
      for (const resolve of reached.values()) resolve()
    },
  }
}

interface World {
  readonly system: MailSystem
  /** The process of the service dies at the step, the next time it comes there. */
  order(service: Sender, step: DyingStep): Promise<void>
  /** Resolves when the process has died and another one runs. */
  restarted(service: Sender): Promise<void>
}

async function startWorld(t: { after(clean: () => Promise<void>): void }, actions: string): Promise<World> {
  const orders = await tempFolder('die-at')
  atEnd(t, orders.remove)
  const system = await MailSystem.start({
    conf: `listen on 127.0.0.1 port {{smtp}}
table people { "jane" = "1000:1000:/home/jane" }
${actions}`,
    pipeline: 'mbox "{{data}}/mboxes"\n',
    services: 'processes',
    processes: { filter: 0, signer: 0, dashboard: 0 },
    nodeArguments: ['--import', 'tsx', '--import', new URL('../support/die-at.child.ts', import.meta.url).pathname],
    env: { SLUICE_TEST_DIE_AT: orders.path },
  })
  atEnd(t, () => system.stop())
  await mkdir(join(system.dataFolder, 'mboxes'), { recursive: true })
  return {
    system,
    order: (service, step) => writeFile(join(orders.path, orderOf(service, step)), ''),
    restarted: async (service) => {
      await system.waitForEnd(service)
      await system.restart(service)
    },
  }
}

async function send(system: MailSystem, name: string, to: string): Promise<string> {
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const from = `${name}@remote.test`
  const id = idOf(await client.send({ from, to: [to], content: testMessage({ id: name, from, to }) }))
  await client.quit()
  return id
}

function told(system: MailSystem, event: string, id: string): number {
  return system.log.filter((line) => line.event === event && line.id === id).length
}

test('a process killed at any step of a transaction: all arrives, once, unless the next hop had taken it; and it is said', async (t) => {
  const hops = { delivery: await holdingSink('lmtp'), relay: await holdingSink('smtp') }
  for (const { sink } of Object.values(hops)) atEnd(t, () => sink.stop())
  const { system, order, restarted } = await startWorld(
    t,
    `action "deliver" lmtp "127.0.0.1:${hops.delivery.sink.port}" rcpt-to userbase <people>
action "out" relay host "smtp+notls://127.0.0.1:${hops.relay.sink.port}"
match from any for domain "sluice.test" action "deliver"
match from any for any action "out"
`,
  )
  const addresses = { delivery: 'jane@sluice.test', relay: 'joe@elsewhere.test' } as const
  const services = Object.keys(senders) as Sender[]
  const sendToBoth = async (name: string) =>
    Promise.all(services.map(async (service) => ({ service, id: await send(system, name, addresses[service]) })))

  const sent = new Map<Step, Awaited<ReturnType<typeof sendToBoth>>>()
  for (const step of Object.keys(steps) as Step[]) sent.set(step, await sendToBoth(step))
  await Promise.all(services.map((service) => hops[service].waitForAll()))
  await Promise.all(services.map((service) => system.kill(service)))
  for (const service of services) hops[service].goOn()
  await Promise.all(services.map((service) => system.restart(service)))
  for (const [step, messages] of sent) {
    for (const { service, id } of messages) {
      await system.waitForEvent(senders[service], id)
      const copies = hops[service].sink.copies.get(step)
      assert.equal(copies, step === 'taken' ? 2 : 1, `${service}: ${step}`)
      assert.equal(
        told(system, 'may repeat', id),
        1,
        `${service}: ${step}: nobody knows how far it came, so it is told`,
      )
      assert.equal(told(system, senders[service], id), 1, `${service}: ${step}: one outcome`)
    }
  }

  // The 250 was read, and the process dies before the outcome is on disk: the one step at which a copy may come twice.
  for (const service of services) await order(service, 'outcome unwritten')
  const unlogged = await sendToBoth('unlogged')
  await Promise.all(services.map((service) => restarted(service)))
  for (const { service, id } of unlogged) {
    await system.waitForEvent(senders[service], id)
    assert.equal(hops[service].sink.copies.get('unlogged'), 2, service)
    const { stdout } = await system.ctl('show', 'message', id)
    assert.match(stdout, /an attempt of \w+ broke off and is made again: \S+ may get a second copy/)
  }

  // The outcome is on disk, the job is not done: it is taken up again, and nothing is left to do.
  for (const service of services) await order(service, 'outcome written')
  const logged = await sendToBoth('logged')
  await Promise.all(services.map((service) => restarted(service)))
  const after = await sendToBoth('after')
  for (const { service, id } of after) await system.waitForEvent(senders[service], id)
  await system.waitForEmptyQueues()
  await system.waitForBalance()
  for (const { service, id } of logged) {
    assert.equal(hops[service].sink.copies.get('logged'), 1, service)
    assert.equal(told(system, 'may repeat', id), 0, service)
  }
})

test('a process killed at any step of a Maildir delivery: one copy', async (t) => {
  const { system, order, restarted } = await startWorld(
    t,
    `action "deliver" maildir "{{data}}/mail/%{user.username}" userbase <people>
match from any for domain "sluice.test" action "deliver"
`,
  )
  const dying: readonly DyingStep[] = ['copy written', 'copy named', 'outcome unwritten', 'outcome written']
  for (const step of dying) {
    await order('delivery', step)
    const id = await send(system, step.replace(' ', '-'), 'jane@sluice.test')
    await restarted('delivery')
    await system.waitForEmptyQueues()
    assert.equal(told(system, 'may repeat', id), 0, `${step}: a copy in a Maildir is known by its name`)
  }
  await system.waitForBalance()
  const copies = (await system.maildir('jane').messages()).map((mail) => mail.field('X-Test-Id') ?? '')
  assert.deepEqual(copies.toSorted(), dying.map((step) => step.replace(' ', '-')).toSorted())
})

test('a process killed at any step of an mbox delivery: one copy, unless the mailbox was let go of; and it is said', async (t) => {
  const { system, order, restarted } = await startWorld(
    t,
    `action "deliver" mbox userbase <people>
match from any for domain "sluice.test" action "deliver"
`,
  )
  const dying: readonly DyingStep[] = ['copy begun', 'copy appended', 'outcome unwritten', 'outcome written']
  for (const step of dying) {
    await order('delivery', step)
    const id = await send(system, step.replace(' ', '-'), 'jane@sluice.test')
    await restarted('delivery')
    await system.waitForEmptyQueues()
    assert.equal(told(system, 'may repeat', id), step === 'outcome written' ? 0 : 1, step)
  }
  await system.waitForBalance()
  const mailbox = await readFile(join(system.dataFolder, 'mboxes', 'jane'), 'utf8')
  const copies = (step: DyingStep): number => mailbox.split(`X-Test-Id: ${step.replace(' ', '-')}\n`).length - 1
  assert.deepEqual(dying.map(copies), [1, 1, 2, 1])
  assert.equal(mailbox.split('\nFrom ').length, 5, 'and no message that is broken off')
})
