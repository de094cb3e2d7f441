import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { SocketPlace, VirusSettings } from '../../../shared/config/model.ts'
import type { Disposition } from '../../../shared/mail/disposition.ts'
import type { Origin } from '../../../shared/mail/envelope.ts'
import { openFilter } from '../index.ts'
import { headerBehind, stageMessage, stranger, testContext, testEnvelope, zoneResolver } from '../testing.ts'
import { openClamd } from './client.ts'
import type { ClamdReply } from './client.ts'

/** Speaks as clamd does in a session: takes streams, answers each with its number. */
interface FakeClamd {
  readonly place: SocketPlace
  /** Connections so far, those that only ping left out. */
  sessions(): number
  /** Ends those that are open. */
  hangUp(): void
  /** Contents of the streams that were ended. */
  readonly scanned: Buffer[]
}

/** `hang` and `reset` are done, anything else is said. */
type Answer = (content: Buffer) => string

async function startClamd(
  t: TestContext,
  answer: Answer,
  options: { readonly streamMax?: number; readonly socketPath?: string } = {},
): Promise<FakeClamd> {
  const { streamMax = Number.POSITIVE_INFINITY, socketPath } = options
  const scanned: Buffer[] = []
  const open = new Set<Socket>()
  let sessions = 0
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket)).on('error', () => {})
    let input = Buffer.alloc(0)
    let number = 0
    socket.on('data', (chunk: Buffer) => {
      input = Buffer.concat([input, chunk])
      if (input.toString('latin1') === 'zPING\0') return void socket.end('PONG\0')
      if (input.indexOf('zIDSESSION\0') === 0) {
        sessions += 1
        input = input.subarray('zIDSESSION\0'.length)
      }
      if (input.length < 'zINSTREAM\0'.length) return
      const stream = readChunks(input.subarray('zINSTREAM\0'.length))
      const said = stream.content.length > streamMax ? 'INSTREAM size limit exceeded. ERROR' : undefined
      if (said === undefined && !stream.isEnded) return
      if (said === undefined) scanned.push(stream.content)
      input = Buffer.alloc(0)
      number += 1
      const reply = said ?? answer(stream.content)
      if (reply === 'reset') socket.resetAndDestroy()
      else if (said !== undefined) socket.end(`${number}: ${reply}\0`)
      else if (reply !== 'hang') socket.write(`${number}: ${reply}\0`)
    })
  })
  await new Promise<void>((resolve) => {
    if (socketPath === undefined) server.listen(0, '127.0.0.1', resolve)
    else server.listen(socketPath, resolve)
  })
  t.after(async () => {
    for (const socket of open) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = typeof server.address() === 'string' ? { port: 0 } : (server.address() as AddressInfo)
  const place: SocketPlace =
    socketPath === undefined ? { kind: 'tcp', host: '127.0.0.1', port } : { kind: 'unix', path: socketPath }
  const hangUp = (): void => {
    for (const socket of open) socket.destroy()
  }
  return { place, scanned, sessions: () => sessions, hangUp }
}

function readChunks(octets: Buffer): { readonly content: Buffer; readonly isEnded: boolean } {
  const chunks: Buffer[] = []
  let at = 0
  while (at + 4 <= octets.length) {
    const length = octets.readUInt32BE(at)
    if (length === 0) return { content: Buffer.concat(chunks), isEnded: true }
    chunks.push(octets.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return { content: Buffer.concat(chunks), isEnded: false }
}

const never = new AbortController().signal
const ok: Answer = () => 'stream: OK'

function pieces(count: number, bytes: number): Readable {
  return Readable.from(Array.from({ length: count }, (_one, n) => Buffer.alloc(bytes, n % 256)))
}

/** One stream on a connection of its own. */
async function scanStream(place: SocketPlace, open: () => Readable, signal: AbortSignal): Promise<ClamdReply> {
  const clamd = openClamd(place)
  try {
    return await clamd.scan(open, signal)
  } finally {
    clamd.close()
  }
}

test('connections stay open for the next streams; as many as streams at a time, and one that ended is replaced', async (t) => {
  const fake = await startClamd(t, ok)
  const clamd = openClamd(fake.place)
  t.after(() => clamd.close())
  const scan = () => clamd.scan(() => pieces(3, 100), never)
  for (let nth = 0; nth < 5; nth += 1) assert.deepEqual(await scan(), { kind: 'clean' })
  assert.equal(fake.sessions(), 1)
  await Promise.all([scan(), scan(), scan()])
  assert.equal(fake.sessions(), 3)
  fake.hangUp()
  assert.deepEqual(await scan(), { kind: 'clean' })
  assert.equal(fake.scanned.length, 9)
})

test('a connection that ends under a stream is replaced only when it had served before', async (t) => {
  let answers = 0
  const fake = await startClamd(t, () => {
    answers += 1
    return answers === 2 ? 'reset' : 'stream: OK'
  })
  const clamd = openClamd(fake.place)
  t.after(() => clamd.close())
  for (const expected of [1, 3]) {
    assert.deepEqual(await clamd.scan(() => pieces(1, 10), never), { kind: 'clean' })
    assert.equal(answers, expected)
  }
})

test('all of a long message reaches clamd, by TCP and by socket', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'clamd-'))
  t.after(() => rm(folder, { recursive: true }))
  const socket = await startClamd(t, ok, { socketPath: join(folder, 'ctl') })
  for (const clamd of [await startClamd(t, ok), socket]) {
    assert.deepEqual(await scanStream(clamd.place, () => pieces(40, 65_536), never), { kind: 'clean' })
    assert.deepEqual(clamd.scanned, [Buffer.concat(await pieces(40, 65_536).toArray())])
  }
})

test('an empty piece does not end the stream', async (t) => {
  const clamd = await startClamd(t, ok)
  await scanStream(clamd.place, () => Readable.from([Buffer.from('a'), Buffer.alloc(0), Buffer.from('b')]), never)
  assert.equal(clamd.scanned[0]?.toString(), 'ab')
})

test('a virus is told by name', async (t) => {
  const { place } = await startClamd(t, () => 'stream: Win.Test.EICAR_HDB-1 FOUND')
  assert.deepEqual(await scanStream(place, () => pieces(1, 10), never), {
    kind: 'infected',
    name: 'Win.Test.EICAR_HDB-1',
  })
})

test('a message clamd does not take is never taken for clean, whether it says so or only breaks off', async (t) => {
  const saying = await startClamd(t, ok, { streamMax: 100_000 })
  assert.deepEqual(await scanStream(saying.place, () => pieces(100, 65_536), never), { kind: 'too long' })
  const silent = await startClamd(t, () => 'reset')
  assert.deepEqual(await scanStream(silent.place, () => pieces(1, 10), never), { kind: 'too long' })
})

test('a clamd that is away, says nonsense, or stops is a failure', async (t) => {
  const odd = await startClamd(t, () => "stream: Can't allocate memory ERROR")
  await assert.rejects(
    scanStream(odd.place, () => pieces(1, 10), never),
    /clamd says: stream: Can't allocate/,
  )
  await assert.rejects(
    scanStream({ kind: 'unix', path: '/nowhere/clamd.ctl' }, () => pieces(1, 10), never),
    /ENOENT/,
  )
  const hanging = await startClamd(t, () => 'hang')
  const stop = new AbortController()
  const waiting = scanStream(hanging.place, () => pieces(1, 10), stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
})

const mail = Buffer.from('From: jane@example.org\r\nX-Virus-Status: Clean\r\nSubject: Hello\r\n\r\nHello\r\n')
const user: Origin = { ...stranger, user: 'jane' }

interface Filtered {
  readonly disposition: Disposition
  readonly events: readonly object[]
  readonly header: () => string
}

async function filtered(
  virus: Omit<VirusSettings, 'timeoutMs' | 'policies'>,
  origin: Origin = stranger,
): Promise<Filtered> {
  const { context, events } = testContext(zoneResolver({}), { virus: { timeoutMs: 60_000, ...virus } })
  const stage = await openFilter(context)
  const disposition = await stage.handle(stageMessage(mail, testEnvelope(origin)), context)
  await stage.close()
  return { disposition, events, header: () => headerBehind(mail, disposition) }
}

test('infected mail is kept back, discarded or marked as configured; a stranger is never told', async (t) => {
  const { place: clamd } = await startClamd(t, () => 'stream: Eicar FOUND')
  const asked = { clamd, onFailure: 'defer' } as const
  const held = { kind: 'hold', quarantine: 'virus', reason: 'virus: Eicar' }
  assert.deepEqual((await filtered({ ...asked, infected: 'quarantine' })).disposition, held)
  assert.deepEqual((await filtered({ ...asked, infected: 'reject' })).disposition, held)
  assert.deepEqual((await filtered({ ...asked, infected: 'discard' })).disposition, {
    kind: 'discard',
    reason: 'virus: Eicar',
  })
  const marked = (await filtered({ ...asked, infected: 'tag' })).header()
  assert.match(marked, /^X-Virus-Status: Infected \(Eicar\)\r\n/m)
  assert.match(marked, /^X-Spam: Yes\r\n/m)
  assert.equal(marked.match(/X-Virus-Status/g)?.length, 1)
})

test('mail of signed-in users is scanned too, and they are told of a rejection', async (t) => {
  const { place: clamd } = await startClamd(t, () => 'stream: Eicar FOUND')
  const { disposition, events } = await filtered({ clamd, infected: 'reject', onFailure: 'defer' }, user)
  assert.deepEqual(disposition.kind === 'reject' && disposition.reply, {
    code: 550,
    enhanced: '5.7.1',
    text: 'Message content rejected (virus: Eicar)',
  })
  assert.deepEqual(
    events.map((event) => ({ ...event, id: '' })),
    [
      {
        id: '',
        verdict: 'reject',
        score: 0,
        symbols: ['VIRUS 0 Eicar'],
        reason: 'virus: Eicar',
        mayReject: true,
        revision: 'test',
        demands: [{ action: 'reject', kind: 'virus', reason: 'virus: Eicar' }],
      },
    ],
  )
})

test('clean mail says so, whatever the sender claimed', async (t) => {
  const { place: clamd } = await startClamd(t, ok)
  const header = (await filtered({ clamd, infected: 'quarantine', onFailure: 'defer' })).header()
  assert.deepEqual(header.match(/^X-Virus-Status: .*$/gm), ['X-Virus-Status: Clean'])
})

test('without clamd mail waits, or goes on and says that nobody looked, as configured', async () => {
  const clamd: SocketPlace = { kind: 'unix', path: '/nowhere/clamd.ctl' }
  const waiting = await filtered({ clamd, infected: 'quarantine', onFailure: 'defer' })
  assert.equal(waiting.disposition.kind === 'reject' && waiting.disposition.reply.code, 451)
  assert.match(JSON.stringify(waiting.events), /engine clamd: connect ENOENT/)
  const header = (await filtered({ clamd, infected: 'quarantine', onFailure: 'proceed' })).header()
  assert.match(header, /^X-Virus-Status: Not scanned \(connect ENOENT/m)
  assert.match(header, /CLAMD_FAILED=0/)
})

test('mail too long for clamd is kept back, or goes on and says so; it does not wait in vain', async (t) => {
  const { place: clamd } = await startClamd(t, ok, { streamMax: 10 })
  const held = await filtered({ clamd, infected: 'discard', onFailure: 'defer' })
  assert.deepEqual(held.disposition, {
    kind: 'hold',
    quarantine: 'virus',
    reason: 'not scanned: longer than clamd takes (StreamMaxLength)',
  })
  const header = (await filtered({ clamd, infected: 'discard', onFailure: 'proceed' })).header()
  assert.match(header, /^X-Virus-Status: Not scanned \(longer than clamd takes/m)
})
