import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as pause } from 'node:timers/promises'

import { MailSystem } from '../support/mail-system.ts'
import { startSmtpSink } from '../support/smtp-sink.ts'
import { runSmtpSource } from '../support/smtp-source.ts'
import { UsageMeter } from './usage.ts'

const { values } = parseArgs({
  options: {
    idle: { type: 'string', default: '5000' },
    slow: { type: 'string', default: '500' },
    busy: { type: 'string', default: '20' },
    messages: { type: 'string', default: '3000' },
    runs: { type: 'string', default: '3' },
  },
})
const [idle = 5_000, slow = 500, busy = 20, messages = 3_000, runs = 3] = [
  values.idle,
  values.slow,
  values.busy,
  values.messages,
  values.runs,
].map(Number)

const settleMs = 5_000
const connectAtOnce = 100
const recipient = 'someone@bench.test'

const folder = await mkdtemp(join(tmpdir(), 'connections-'))
const sink = await startSmtpSink({ lmtp: false })
const system = await MailSystem.start({
  conf: `listen on 127.0.0.1 port {{smtp}}
smtp limit max-mails 1000000
action "out" relay host "smtp+notls://127.0.0.1:${sink.port}"
match from any for any action "out"
`,
  pipeline: `limit connections ${idle + slow + 1_000} per client ${idle + slow + 1_000}\n`,
  services: 'embedded',
  logFile: join(folder, 'log'),
})
const sockets: Socket[] = []
try {
  const port = system.port('smtp')
  const [pid = 0] = system.pids
  let expected = 0
  const load = async (): Promise<Load> => {
    const meter = new UsageMeter(system.pids)
    const source = { port, messages, sessions: busy, bytes: 4_096, reuse: true, to: recipient }
    const { durationMs } = await runSmtpSource(source)
    expected += messages
    await sink.waitForCount(expected, 600_000)
    return { perSecond: (messages / durationMs) * 1_000, cpuMs: (meter.stop().cpuSeconds / messages) * 1_000 }
  }
  // Before any message: a heap that has grown under load has room for sessions, and shrinks when it wants.
  const perConnection = await residentOfIdle(idle, { port, pid })
  await load()
  const alone = [await medianOf(runs, load)]
  await openAll(idle, port)
  const drip = startDripping(await openAll(slow, port))
  const among = await medianOf(runs, load)
  clearInterval(drip)
  const open = sockets.filter((socket) => !socket.destroyed).length
  for (const socket of sockets) socket.destroy()
  await pause(settleMs)
  alone.push(await medianOf(runs, load))
  const perSecond = mean(alone.map((one) => one.perSecond))
  const cpuMs = mean(alone.map((one) => one.cpuMs))
  process.stdout.write(
    [
      `| | messages/s of ${busy} busy sessions | CPU ms for each message |`,
      '| --- | --- | --- |',
      `| alone, before and after | ${alone.map((one) => Math.round(one.perSecond)).join(', ')} | ${alone.map((one) => one.cpuMs.toFixed(2)).join(', ')} |`,
      `| with ${idle} idle and ${slow} slow connections | ${Math.round(among.perSecond)} (${percent(among.perSecond / perSecond)}) | ${among.cpuMs.toFixed(2)} (${percent(among.cpuMs / cpuMs)}) |`,
      '',
      `${open} of ${idle + slow} connections were still open; an idle one took ${(perConnection / 1024).toFixed(1)} KB of resident memory.`,
      '',
    ].join('\n'),
  )
} finally {
  for (const socket of sockets) socket.destroy()
  await system.stop()
  await sink.stop()
  await rm(folder, { recursive: true })
}

/** What an idle connection takes of the resident memory, garbage of its beginning included. */
async function residentOfIdle(
  count: number,
  { port, pid }: { readonly port: number; readonly pid: number },
): Promise<number> {
  await openAll(connectAtOnce, port)
  await pause(settleMs)
  const before = residentBytes(pid)
  await openAll(count, port)
  await pause(settleMs)
  const taken = residentBytes(pid) - before
  for (const socket of sockets.splice(0)) socket.destroy()
  await pause(settleMs)
  return taken / count
}

/** Connected, greeted, EHLO answered. */
async function openAll(count: number, port: number): Promise<readonly Socket[]> {
  const opened: Socket[] = []
  while (opened.length < count) {
    const some = Array.from({ length: Math.min(connectAtOnce, count - opened.length) }, async () => {
      const socket = connect({ port, host: '127.0.0.1' })
      socket.on('error', () => undefined)
      sockets.push(socket)
      await once(socket, 'data')
      socket.write('EHLO waiting.remote.test\r\n')
      await once(socket, 'data')
      return socket.resume()
    })
    opened.push(...(await Promise.all(some)))
  }
  return opened
}

/** Half of them drip a command, the others a message, each an octet or a short line a second. */
function startDripping(all: readonly Socket[]): NodeJS.Timeout {
  const writers = all.slice(0, all.length / 2)
  for (const socket of writers) {
    void (async () => {
      for (const line of ['MAIL FROM:<slow@remote.test>', `RCPT TO:<${recipient}>`, 'DATA']) {
        socket.write(`${line}\r\n`)
        await once(socket, 'data')
      }
      socket.write('Subject: slow\r\n\r\n')
    })()
  }
  const dripped = 'NOOP\r\n'
  let second = 0
  return setInterval(() => {
    for (const socket of all.slice(all.length / 2)) socket.write(dripped.charAt(second % dripped.length))
    for (const socket of writers) socket.write(`${'x'.repeat(400)}\r\n`)
    second += 1
  }, 1_000)
}

interface Load {
  readonly perSecond: number
  /** Of all processes, Redis included. */
  readonly cpuMs: number
}

/** The run with the median throughput. */
async function medianOf(count: number, measure: () => Promise<Load>): Promise<Load> {
  const all: Load[] = []
  for (let run = 0; run < count; run += 1) all.push(await measure())
  const [median = { perSecond: 0, cpuMs: 0 }] = all
    .toSorted((one, other) => one.perSecond - other.perSecond)
    .slice(Math.floor(count / 2))
  return median
}

function mean(all: readonly number[]): number {
  return all.reduce((sum, one) => sum + one, 0) / all.length
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}
