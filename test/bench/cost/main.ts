import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { cpuUsage } from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import type { Engine, ScanMessage } from '../../../services/filter/engine.ts'
import { createAuthenticationEngine } from '../../../services/filter/authentication/engine.ts'
import { createBannedEngine } from '../../../services/filter/banned/engine.ts'
import { createClassifierEngine } from '../../../services/filter/classifier/engine.ts'
import { createGtubeEngine } from '../../../services/filter/gtube.ts'
import { bannedSettings } from '../../../services/filter/testing.ts'
import { offline, scanMessage } from '../../../services/filter/offline.ts'
import { createRspamdEngine } from '../../../services/filter/rspamd/engine.ts'
import { createSpamScannerEngine } from '../../../services/filter/spamscanner/engine.ts'
import { openTables } from '../../../shared/config/tables.ts'
import { startAmavis } from '../../support/amavis.ts'
import { startDns } from '../../support/dns.ts'
import { freePorts } from '../../support/free-port.ts'
import { missingPeers } from '../../support/peer.ts'
import { startRspamd } from '../../support/rspamd.ts'
import { SmtpClient } from '../../support/smtp-client.ts'
import { startSmtpSink } from '../../support/smtp-sink.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { withCorpus } from '../accuracy/corpus.ts'
import { UsageMeter } from '../usage.ts'
import { quantile, readMessages } from './messages.ts'
import type { Share, ShareDone } from './worker.ts'

const usage = `npm run bench:cost [-- FOLDER] [--every N] [--rounds N] [--no-peers]

What the filter takes for real mail: each Nth message (20) of the corpus in FOLDER (../shared/corpus). First each engine of this process
by itself, one message after the other, CPU of all threads; then whole filters, one process and two, beside Debian's Rspamd and
amavisd-new (with SpamAssassin) on the same messages. DNS answers at once that there is nothing.`

interface CostOptions {
  readonly every: number
  readonly rounds: number
  readonly peers: boolean
}

async function run(files: readonly string[], { rounds, peers }: CostOptions): Promise<void> {
  const contents = readMessages(files)
  const bytes = contents.map(({ length }) => length)
  print(
    `${files.length} messages, median ${quantile(bytes, 0.5)} octets, longest ${Math.max(...bytes)}; load of the machine before: ${loadavg()[0]?.toFixed(1)}\n`,
  )
  print('| engine | CPU ms mean | median | p99 | longest |\n| --- | --- | --- | --- | --- |')
  await engineRows(contents)
  print('\n| whole filter | workers | messages/s | CPU ms for each | MB resident |\n| --- | --- | --- | --- | --- |')
  for (const workers of [1, 2]) await sluiceRow(files, workers, rounds)
  if (!peers) return
  for (const workers of [1, 2]) await rspamdRow(contents, workers)
  for (const workers of [1, 2]) await amavisRow(contents, workers)
}

const warmUps = 100

async function engineRows(contents: readonly Buffer[]): Promise<void> {
  const folder = await tempFolder('cost')
  const tables = openTables()
  const clock = { now: Date.now }
  const own = [
    createAuthenticationEngine({ resolver: offline, clock, hostname: 'mx.example.org', threads: 1 }),
    createGtubeEngine(),
    createClassifierEngine({ dataFolder: folder.path, now: Date.now, threads: 1 }),
    createBannedEngine(bannedSettings(), tables),
  ]
  const spamScanner = createSpamScannerEngine({ threads: 1 })
  const sets = [...own.map((engine) => [engine.name, [engine]] as const), ['all of them', own] as const]
  try {
    for (const [name, engines] of [...sets, ['spamscanner', [spamScanner]] as const])
      costRow(name, await costsOf(engines, contents))
  } finally {
    await Promise.all([...own, spamScanner].map((engine) => engine.close()))
    await tables.close()
    await folder.remove()
  }
}

async function costsOf(engines: readonly Engine[], contents: readonly Buffer[]): Promise<readonly number[]> {
  const scan = (message: ScanMessage): Promise<unknown> =>
    Promise.allSettled(engines.map((engine) => engine.scan(message, new AbortController().signal)))
  const longest = contents.toSorted((one, other) => other.length - one.length).slice(0, 1)
  // The longest one starts the threads.
  for (const content of [...longest, ...contents.slice(0, warmUps)]) await scan(scanned(content))
  const costs: number[] = []
  for (const message of contents.map(scanned)) {
    const before = cpuUsage()
    await scan(message)
    const { user, system } = cpuUsage(before)
    costs.push((user + system) / 1_000)
  }
  return costs
}

function scanned(content: Buffer): ScanMessage {
  return scanMessage(content, { recipients: [], tags: [] })
}

function costRow(name: string, costs: readonly number[]): void {
  const mean = costs.reduce((sum, one) => sum + one, 0) / costs.length
  const cells = [mean, quantile(costs, 0.5), quantile(costs, 0.99), Math.max(...costs)].map((ms) => ms.toFixed(2))
  print(`| ${[name, ...cells].join(' | ')} |`)
}

interface Throughput {
  readonly messages: number
  readonly seconds: number
  readonly cpuMs: number
  readonly rssBytes: number
}

function throughputRow(name: string, workers: number, { messages, seconds, cpuMs, rssBytes }: Throughput): void {
  const cells = [(messages / seconds).toFixed(0), (cpuMs / messages).toFixed(2), (rssBytes / 2 ** 20).toFixed(0)]
  print(`| ${[name, workers, ...cells].join(' | ')} |`)
}

/** Processes that each have their share, started at the same moment. */
async function sluiceRow(files: readonly string[], workers: number, rounds: number): Promise<void> {
  const folder = await tempFolder('cost')
  const children = Array.from({ length: workers }, () => fork(fileURLToPath(new URL('./worker.ts', import.meta.url))))
  try {
    await Promise.all(
      children.map((child, place) => {
        const share = files.filter((_file, index) => index % workers === place)
        child.send({ files: share, rounds, dataFolder: folder.path } satisfies Share)
        return once(child, 'message')
      }),
    )
    const startedAt = performance.now()
    const done = await Promise.all(children.map((child) => filterShare(child)))
    const seconds = (performance.now() - startedAt) / 1_000
    const sum = (value: (one: ShareDone) => number): number => done.reduce((total, one) => total + value(one), 0)
    throughputRow('Sluice: SPF, DKIM, DMARC, ARC, classifier, banned files', workers, {
      seconds,
      messages: sum(({ messages }) => messages),
      cpuMs: sum(({ cpuMs }) => cpuMs),
      rssBytes: sum(({ rssBytes }) => rssBytes),
    })
  } finally {
    for (const child of children) child.kill()
    await folder.remove()
  }
}

async function filterShare(child: ChildProcess): Promise<ShareDone> {
  const done = once(child, 'message') as Promise<[ShareDone]>
  child.send('go')
  return (await done)[0]
}

const rspamdAtOnce = 16

async function rspamdRow(contents: readonly Buffer[], workers: number): Promise<void> {
  const missing = missingPeers('rspamd')
  if (missing !== false) return print(`${missing}: left out`)
  const dns = await startDns()
  const rspamd = await startRspamd({ workers, dnsPort: dns.port })
  const settings = { kind: 'rspamd', url: rspamd.url, weight: 1, timeoutMs: 60_000, onFailure: 'proceed' } as const
  const engine = createRspamdEngine({ ...settings, actions: 'ignore' })
  try {
    const scan = (content: Buffer): Promise<unknown> => engine.scan(scanned(content), new AbortController().signal)
    throughputRow("Rspamd, Debian's rules", workers, await throughputOf(rspamd.pid, contents, rspamdAtOnce, scan))
  } finally {
    await engine.close()
    await rspamd.stop()
    await dns.stop()
  }
}

const mostForAmavis = 120

async function amavisRow(contents: readonly Buffer[], workers: number): Promise<void> {
  const missing = missingPeers('amavisd', 'smtp-sink')
  if (missing !== false) return print(`${missing}: left out`)
  const sink = await startSmtpSink()
  const [port = 0] = await freePorts(1)
  const place = { address: '127.0.0.1', returnTo: '127.0.0.1', port, returnPort: sink.port }
  const amavis = await startAmavis({ ...place, domain: 'example.org', servers: workers, checks: true })
  try {
    const step = Math.max(1, Math.floor(contents.length / mostForAmavis))
    const sample = contents.filter((_content, index) => index % step === 0)
    const send = async (content: Buffer): Promise<void> => {
      const client = await SmtpClient.ready({ port })
      await client.send({ from: 'jane@example.net', to: ['joe@example.org'], content })
      await client.quit()
    }
    throughputRow('amavisd-new with SpamAssassin', workers, await throughputOf(amavis.pid, sample, workers, send))
  } finally {
    await amavis.stop()
    await sink.stop()
  }
}

async function throughputOf(
  pid: number,
  contents: readonly Buffer[],
  atOnce: number,
  scan: (content: Buffer) => Promise<unknown>,
): Promise<Throughput> {
  await scanAll(contents.slice(0, Math.min(warmUps, contents.length / 5)), atOnce, scan)
  const meter = new UsageMeter([pid])
  const startedAt = performance.now()
  await scanAll(contents, atOnce, scan)
  const seconds = (performance.now() - startedAt) / 1_000
  const { cpuSeconds, peakPssBytes } = meter.stop()
  return { messages: contents.length, seconds, cpuMs: cpuSeconds * 1_000, rssBytes: peakPssBytes }
}

async function scanAll(
  contents: readonly Buffer[],
  atOnce: number,
  scan: (content: Buffer) => Promise<unknown>,
): Promise<void> {
  const waiting = contents.values()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const content of waiting) await scan(content)
    }),
  )
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    every: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '4' },
    'no-peers': { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
})
if (values.help === true) print(usage)
else {
  const [every = 20, rounds = 4] = [values.every, values.rounds].map((text) =>
    Math.max(1, Number.parseInt(text, 10) || 1),
  )
  await withCorpus(positionals[0] ?? '../shared/corpus', (mails) => {
    const files = mails.filter((_mail, index) => index % every === 0).map(({ path }) => path)
    return run(files, { every, rounds, peers: !values['no-peers'] })
  })
}
