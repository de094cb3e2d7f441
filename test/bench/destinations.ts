import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { startDns } from '../support/dns.ts'
import type { DnsZone } from '../support/dns.ts'
import { freePort } from '../support/free-port.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { bodyOf, testMessage } from '../support/messages.ts'
import { startPostfix } from '../support/postfix.ts'
import { expectCode, SmtpClient } from '../support/smtp-client.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { Changes } from '../support/until.ts'
import { startBlackhole } from './blackhole.ts'
import type { SystemUnderTest } from './systems.ts'
import { UsageMeter } from './usage.ts'

const { values } = parseArgs({
  options: {
    destinations: { type: 'string', default: '1000' },
    messages: { type: 'string', default: '10000' },
    rate: { type: 'string', default: '200' },
    dead: { type: 'string', default: '10' },
    sessions: { type: 'string', default: '20' },
    systems: { type: 'string', default: 'postfix,sluice,sluice-processes' },
  },
})
/** `deadPercent` of the messages go to the destination that does not answer. */
const [destinations = 0, messages = 0, perSecond = 0, deadPercent = 0, sessions = 0] = [
  values.destinations,
  values.messages,
  values.rate,
  values.dead,
  values.sessions,
].map(Number)

const deadHost = '127.2.0.1'
const deadDomain = 'dead.bench.test'
const body = bodyOf('destinations', 4_096)
const domains = Array.from({ length: destinations }, (_, nth) => ({
  name: `d${nth}.bench.test`,
  host: `127.1.${Math.floor(nth / 250)}.${(nth % 250) + 1}`,
}))
/** The same for all systems: mail for the dead one among the others', and neighbours go to places far apart. */
const order: string[] = []
let living = 0
for (let nth = 0; nth < messages; nth++) {
  const toDead = (nth * 37) % 100 < deadPercent
  const { name } = (toDead ? undefined : domains[(living++ * 7919) % destinations]) ?? { name: deadDomain }
  order.push(name)
}

const port = await freePort()
const blackhole = await startBlackhole(deadHost, port)
try {
  console.log(
    '| system | offered/s | to others | arrived | p50 ms | p99 ms | slowest ms | connections for 1,000 messages | CPU s per 1,000 |\n' +
      '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  )
  for (const system of values.systems.split(',')) console.log(await measure(system))
} finally {
  await blackhole.stop()
}

async function measure(name: string): Promise<string> {
  const arrivals = new Map<string, number>()
  const changes = new Changes()
  const sinks: MailSink[] = []
  for (const { host } of domains) sinks.push(await startMailSink({ host, port, keep: 'digest', respond }))
  const subject = await (name === 'postfix' ? postfix() : sluice(name === 'sluice' ? 'embedded' : 'processes'))
  try {
    const meter = new UsageMeter(subject.pids)
    const { startedAt, offeredPerSecond } = await offer(subject.port)
    await changes.until(
      120_000,
      () => `${living} messages at the living destinations; ${arrivals.size} came`,
      () => (arrivals.size >= living ? true : undefined),
    )
    await pause(500)
    const { cpuSeconds } = meter.stop()
    const took = [...arrivals]
      .map(([from, arrivedAt]) => arrivedAt - (startedAt.get(from) ?? 0))
      .toSorted((one, other) => one - other)
    const arrived = sinks.reduce((sum, sink) => sum + sink.messages.length, 0)
    const connections = sinks.reduce((sum, sink) => sum + sink.connections, 0)
    const cells = [
      name,
      offeredPerSecond.toFixed(0),
      living,
      arrived === living ? `${arrived}, each once` : `${arrived} (${arrivals.size} different)`,
      at(took, 0.5),
      at(took, 0.99),
      at(took, 1),
      Math.round((connections / living) * 1_000),
      ((cpuSeconds / messages) * 1_000).toFixed(2),
    ]
    return `| ${cells.join(' | ')} |`
  } finally {
    await subject.stop()
    for (const sink of sinks) await sink.stop()
  }

  function respond({ stage, from }: { readonly stage: string; readonly from: string | undefined }): undefined {
    if (stage !== 'content' || from === undefined || arrivals.has(from)) return
    arrivals.set(from, performance.now())
    changes.changed()
  }
}

function at(sorted: readonly number[], share: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(0)
}

/** At a steady rate over some sessions; `startedAt` by reverse-path, when MAIL was sent. */
async function offer(
  to: number,
): Promise<{ readonly startedAt: ReadonlyMap<string, number>; readonly offeredPerSecond: number }> {
  const startedAt = new Map<string, number>()
  const beganAt = performance.now()
  await Promise.all(
    Array.from({ length: sessions }, async (_, session) => {
      const client = await SmtpClient.ready({ port: to })
      for (let nth = session; nth < messages; nth += sessions) {
        await pause(Math.max(0, beganAt + (nth * 1_000) / perSecond - performance.now()))
        const from = `m${nth}@sender.test`
        const recipient = `someone@${order[nth] ?? deadDomain}`
        startedAt.set(from, performance.now())
        const content = testMessage({ id: `m${nth}`, from, to: recipient, body })
        expectCode(await client.send({ from, to: [recipient], content }), 250)
      }
      await client.quit()
    }),
  )
  return { startedAt, offeredPerSecond: (messages * 1_000) / (performance.now() - beganAt) }
}

/** Told the address of each destination by a table: it asks no DNS. */
async function postfix(): Promise<SystemUnderTest> {
  const folder = await tempFolder('destinations')
  const table = join(folder.path, 'transport')
  const entries = [...domains, { name: deadDomain, host: deadHost }]
  await writeFile(table, entries.map(({ name, host }) => `${name} smtp:[${host}]:${port}\n`).join(''))
  const instance = await startPostfix({
    transport: 'error:no such destination',
    parameters: { transport_maps: `texthash:${table}` },
  })
  const stop = async (): Promise<void> => {
    await instance.stop()
    await folder.remove()
  }
  return { port: instance.port, pids: [instance.masterPid], stop }
}

async function sluice(services: 'embedded' | 'processes'): Promise<SystemUnderTest> {
  const folder = await tempFolder('destinations')
  const dns = await startDns(zone())
  const system = await MailSystem.start({
    conf: `listen on 127.0.0.1 port {{smtp}}
smtp limit max-mails 1000000
action "out" relay
match from any for any action "out"
`,
    pipeline: `users from any\nresolver "${dns.address}"\nrelay port ${port}\n`,
    services,
    processes: { filter: 0, signer: 0, delivery: 0 },
    logFile: join(folder.path, 'log'),
  })
  const stop = async (): Promise<void> => {
    await system.stop()
    await dns.stop()
    await folder.remove()
  }
  return { port: system.port('smtp'), pids: system.pids, stop }
}

/** A mail host of its own for each. */
function zone(): DnsZone {
  return Object.fromEntries(
    [...domains, { name: deadDomain, host: deadHost }].flatMap(({ name, host }) => [
      [name, { MX: [[10, `mx.${name}`]] }],
      [`mx.${name}`, { A: [host] }],
    ]),
  ) as DnsZone
}
