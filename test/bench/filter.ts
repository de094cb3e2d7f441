/**
 * CPU of authentication and signing, without queue and spool: the stages of `filter` and `signer` on messages in memory, DNS
 * answered from memory, beside mailauth doing the same. Run: node --import tsx test/bench/filter.ts [messages per row]
 */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { dkimSign } from 'mailauth/lib/dkim/sign.js'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { dmarc as checkDmarc } from 'mailauth/lib/dmarc/index.js'
import { spf as checkSpf } from 'mailauth/lib/spf/index.js'

import { openFilter } from '../../services/filter/index.ts'
import { headerLength, stageMessage, testContext, testEnvelope, zoneResolver } from '../../services/filter/testing.ts'
import { openSigner } from '../../services/signer/index.ts'
import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import { readPrivateKey } from '../../shared/dkim/private-key.ts'
import { parseCanonicalization, signMessage } from '../../shared/dkim/sign.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'

const atOnce = 8

interface Row {
  readonly job: string
  readonly bytes: number
  readonly threads: string
  readonly perSecond: number
  readonly cpuMs: number
}

const pems = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString(),
  ed25519: generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
}
const record = dkimRecord(pems.rsa, 'main', 'example.org').value
const spf = 'v=spf1 ip4:192.0.2.0/24 -all'
const dmarc = 'v=DMARC1; p=reject'

async function main(messages: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-filter-'))
  const rows: Row[] = []
  try {
    for (const bytes of [4_096, 65_536]) {
      const content = plainMessage(bytes)
      const signed = signedMessage(content)
      rows.push(await measure('verify: mailauth', bytes, '-', messages / 4, () => mailauthVerifies(signed)))
      for (const threads of [1, 2]) rows.push(await verifyRow(signed, bytes, threads, messages))
      for (const type of ['rsa', 'ed25519'] as const) {
        rows.push(
          await measure(`sign ${type}: mailauth`, bytes, '-', messages / 4, () => mailauthSigns(content, pems[type])),
        )
        for (const threads of [1, 2]) rows.push(await signRow({ content, bytes, type, threads, folder }, messages))
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  print(rows)
}

function plainMessage(bytes: number): Buffer {
  const header = [
    'Received: from client.example.org (client.example.org [192.0.2.7]) by mx.example.net with ESMTP;',
    '\tSat, 1 Jan 2000 00:00:00 +0000',
    'Message-ID: <1234567890@example.org>',
    'Date: Sat, 1 Jan 2000 00:00:00 +0000',
    'From: Jane Doe <jane@example.org>',
    'To: x@y.example',
    'Subject: What the bench sends',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    '',
  ].join('\r\n')
  const line = 'The quick brown fox jumps over the lazy dog and then sits down beside it.\r\n'
  return Buffer.from(header + line.repeat(Math.ceil(bytes / line.length)))
}

function signedMessage(content: Buffer): Buffer {
  const end = headerLength(content)
  const options = {
    domain: 'example.org',
    selector: 'main',
    key: readPrivateKey(pems.rsa),
    ...parseCanonicalization('relaxed/relaxed'),
    signedAt: 1_700_000_000,
  }
  return Buffer.concat([
    ...signMessage(content.subarray(0, end), content.subarray(end), [options]).map((text) => Buffer.from(text)),
    content,
  ])
}

async function verifyRow(content: Buffer, bytes: number, threads: number, messages: number): Promise<Row> {
  const resolver = zoneResolver({
    'txt example.org': [spf],
    'txt main._domainkey.example.org': [record],
    'txt _dmarc.example.org': [dmarc],
  })
  const answers = new Map<string, ReturnType<typeof resolver.txt>>()
  const txt: typeof resolver.txt = (name) => {
    const known = answers.get(name) ?? resolver.txt(name)
    answers.set(name, known)
    return known
  }
  const { context } = testContext({ ...resolver, txt })
  const stage = await openFilter(context, threads)
  return stageRow('verify: filter', { stage, context, content, bytes, threads }, messages)
}

async function signRow(
  given: {
    readonly content: Buffer
    readonly bytes: number
    readonly type: 'rsa' | 'ed25519'
    readonly threads: number
    readonly folder: string
  },
  messages: number,
): Promise<Row> {
  const keyFile = join(given.folder, `${given.type}.pem`)
  await writeFile(keyFile, pems[given.type], { mode: 0o600 })
  const base = testContext(zoneResolver({})).context
  const context = {
    ...base,
    configuration: {
      ...base.configuration,
      pipeline: {
        ...base.configuration.pipeline,
        queues: new Map(),
        dkim: [{ domain: 'example.org', selector: 'main', keyFile, canonicalization: 'relaxed/simple' }],
      },
    },
    events: { ...base.events, signed: () => {} },
  } as StageContext
  const stage = await openSigner(context, given.threads)
  return stageRow(`sign ${given.type}: signer`, { ...given, stage, context }, messages)
}

async function stageRow(
  job: string,
  run: {
    readonly stage: OpenStage
    readonly context: StageContext
    readonly content: Buffer
    readonly bytes: number
    readonly threads: number
  },
  messages: number,
): Promise<Row> {
  const { stage, context, content, bytes, threads } = run
  let count = 0
  const next = (): StageMessage => {
    count += 1
    return stageMessage(content, { ...testEnvelope(), id: newMessageId(1_700_000_000_000 + count) })
  }
  try {
    return await measure(job, bytes, String(threads), messages, async () => {
      const { kind } = await stage.handle(next(), context)
      if (kind !== 'pass') throw new Error(`${job}: ${kind}`)
    })
  } finally {
    await stage.close()
  }
}

/** The parts of mailauth's authenticate() that the filter has too; without ARC and BIMI, of which the message has nothing. */
async function mailauthVerifies(content: Buffer): Promise<void> {
  const dkim = await dkimVerify(content, { resolver: mailauthResolver, sender: 'jane@example.org' })
  const client = { ip: '192.0.2.7', helo: 'mail.example.org', sender: 'jane@example.org', mta: 'mx.example.net' }
  const spfResult = await checkSpf({ ...client, resolver: mailauthResolver })
  const result = await checkDmarc({
    headerFrom: dkim.headerFrom,
    spfDomains: spfResult.status.result === 'pass' ? [spfResult.domain] : [],
    dkimDomains: dkim.results
      .filter(({ status }) => status.result === 'pass')
      .map(({ signingDomain }) => ({ domain: signingDomain })),
    resolver: mailauthResolver,
  })
  if (result === false || result.status.result !== 'pass') throw new Error('mailauth: no pass')
}

async function mailauthResolver(name: string): Promise<string[][]> {
  const answer = mailauthAnswers.get(name)
  if (answer === undefined) throw Object.assign(new Error('absent'), { code: 'ENOTFOUND' })
  return [[answer]]
}

const mailauthAnswers: ReadonlyMap<string, string> = new Map([
  ['example.org', spf],
  ['main._domainkey.example.org', record],
  ['_dmarc.example.org', dmarc],
])

async function mailauthSigns(content: Buffer, privateKey: string): Promise<void> {
  const key = { signingDomain: 'example.org', selector: 'main', privateKey }
  await dkimSign(content, { canonicalization: 'relaxed/simple', ...key, signatureData: [key] })
}

/** Runs `work` so many times, eight at once, after a warm-up; CPU is that of the whole process, threads included. */
async function measure(
  job: string,
  bytes: number,
  threads: string,
  messages: number,
  work: () => Promise<void>,
): Promise<Row> {
  await repeat(Math.ceil(messages / 4), work)
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  await repeat(messages, work)
  const tookMs = performance.now() - startedAt
  const { user, system } = process.cpuUsage(cpu)
  return { job, bytes, threads, perSecond: (messages / tookMs) * 1000, cpuMs: (user + system) / 1000 / messages }
}

async function repeat(times: number, work: () => Promise<void>): Promise<void> {
  let left = times
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left > 0) {
        left -= 1
        await work()
      }
    }),
  )
}

function print(rows: readonly Row[]): void {
  process.stdout.write('| job | bytes | threads | messages/s | CPU ms a message |\n| --- | --- | --- | --- | --- |\n')
  for (const { job, bytes, threads, perSecond, cpuMs } of rows)
    process.stdout.write(`| ${job} | ${bytes} | ${threads} | ${Math.round(perSecond)} | ${cpuMs.toFixed(3)} |\n`)
}

if (process.argv[1]?.endsWith('filter.ts') === true) await main(Number(process.argv[2] ?? 4_000))
