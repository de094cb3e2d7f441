import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { freePort } from '../support/free-port.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
import { SmtpClient, expectCode } from '../support/smtp-client.ts'
import { runSmtpSource } from '../support/smtp-source.ts'
import { Changes } from '../support/until.ts'
import { startBlackhole } from './blackhole.ts'
import { UsageMeter } from './usage.ts'

/**
 * What a destination costs that does not answer and has a hundred thousand messages waiting: how long mail for another one takes while
 * they come in, and while they wait; CPU and commands of Redis while they wait, and its memory.
 *
 *   node --import tsx test/bench/dead-destination.ts [--messages 100000] [--senders 50] [--seconds 30]
 */
const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '100000' },
    senders: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '30' },
  },
})
const [messages, senders, seconds] = [Number(values.messages), Number(values.senders), Number(values.seconds)]

/** Over 20 sessions, which take at most 100 each. */
const atOnce = 1_000
const dead = '127.2.0.1'
const port = await freePort()
const blackhole = await startBlackhole(dead, port)
const changes = new Changes()
const arrivals = new Map<string, number>()
const sink = await startMailSink({
  keep: 'digest',
  respond({ stage, from }) {
    if (stage !== 'content' || from === undefined) return undefined
    arrivals.set(from, performance.now())
    changes.changed()
    return undefined
  },
})
const system = await MailSystem.start({
  conf: `listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "dead" relay host "smtp://${dead}:${port}"
action "living" relay host "smtp://127.0.0.1:${sink.port}"
match from any for domain dead.test action "dead"
match from any for any action "living"
`,
  services: 'processes',
  processes: { filter: 0, signer: 0, delivery: 0, dashboard: 0 },
})

try {
  console.log(`${messages} messages of ${senders} senders for a destination that does not answer`)
  const filling = startProbes('filling')
  const beganAt = performance.now()
  for (let sent = 0; sent < messages; sent += atOnce) {
    await runSmtpSource({
      port: system.port('smtp'),
      messages: Math.min(atOnce, messages - sent),
      bytes: 1_024,
      reuse: true,
      from: `many@sender${(sent / atOnce) % senders}.test`,
      to: 'someone@dead.test',
    })
  }
  const acceptedMs = performance.now() - beganAt
  await untilParked()
  const parkedMs = performance.now() - beganAt
  console.log(`accepted in ${inSeconds(acceptedMs)}, put aside in ${inSeconds(parkedMs)}`)
  console.log(`mail for the other meanwhile: ${await filling.stop()}`)
  console.log(`Redis: ${Math.round((await figure('memory', 'used_memory')) / messages)} octets for each`)

  const waiting = startProbes('waiting')
  const meter = new UsageMeter(system.pids)
  const commandsBefore = await figure('stats', 'total_commands_processed')
  await pause(seconds * 1_000)
  const commands = (await figure('stats', 'total_commands_processed')) - commandsBefore
  const { cpuSeconds } = meter.stop()
  console.log(`while they wait, ${seconds} s with 2 messages a second for the other: ${await waiting.stop()}`)
  const percent = ((cpuSeconds / seconds) * 100).toFixed(1)
  console.log(
    `CPU of all processes ${percent} % of a core, ${Math.round(commands / seconds)} commands of Redis a second`,
  )
} finally {
  await system.stop()
  await sink.stop()
  await blackhole.stop()
}

/** Two messages a second for the destination that answers, each of a sender of its own. */
function startProbes(name: string): { stop(): Promise<string> } {
  const startedAt = new Map<string, number>()
  let stopped = false
  const loop = (async () => {
    for (let nth = 0; !stopped; nth++) {
      const from = `jane@${name}${nth}.test`
      startedAt.set(from, performance.now())
      const content = testMessage({ id: `${name}${nth}`, from, to: 'ann@living.test' })
      const client = await SmtpClient.ready({ port: system.port('smtp') })
      expectCode(await client.send({ from, to: ['ann@living.test'], content }), 250)
      await client.quit()
      await pause(500)
    }
  })()
  // Told when it is awaited.
  loop.catch(() => {})
  return {
    async stop() {
      stopped = true
      await loop
      await changes.until(
        120_000,
        () => `${startedAt.size} messages for the living destination`,
        () => ([...startedAt.keys()].every((from) => arrivals.has(from)) ? true : undefined),
      )
      const took = [...startedAt].map(([from, at]) => (arrivals.get(from) ?? 0) - at).toSorted((a, b) => a - b)
      const at = (share: number) => (took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0).toFixed(0)
      return `${took.length} messages, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(1)} ms`
    },
  }
}

/** But for those at work. */
async function untilParked(): Promise<void> {
  const endsAt = Date.now() + 600_000
  while ((await integer('zcard', 'sluice:relay:delayed')) < messages - 50) {
    if (Date.now() > endsAt) throw new Error('they were not put aside within ten minutes')
    await pause(500)
  }
}

function figure(section: string, name: string): Promise<number> {
  return integer('eval', `"return tonumber(string.match(redis.call('info', '${section}'), '${name}:(%d+)'))"`, '0')
}

async function integer(...command: readonly string[]): Promise<number> {
  return Number((await system.ownRedis(...command)).slice(1))
}

function inSeconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
