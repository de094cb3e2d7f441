import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import fc from 'fast-check'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'

import type { DkimKey } from '../../shared/config/model.ts'
import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import {
  listPath,
  readSuccessors,
  successorFile,
  withSuccessors,
  writeSuccessors,
} from '../../shared/dkim/successors.ts'
import { generateKey } from '../../shared/dkim/generate-key.ts'
import { silentLog } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import { editMessage } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import { safeReport } from '../../shared/mail/safe-report.ts'
import { sevenBitView } from '../../shared/pipeline/seven-bit-view.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { headerLength, stageMessage } from '../../shared/pipeline/testing.ts'
import type { LookUp } from '../../shared/resolver.ts'
import { openSigner } from './index.ts'

let folder = ''
const pems: Record<string, string> = {}
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'signer-'))
  pems['rsa'] = await generateKey(join(folder, 'rsa.pem'), 'rsa')
  pems['ed'] = await generateKey(join(folder, 'ed.pem'), 'ed25519')
})
after(() => rm(folder, { recursive: true, force: true }))

const receivedAt = 1_700_000_000_000

function entry(domain: string, selector = 'rsa', canonicalization = 'relaxed/simple', expireMs?: number): DkimKey {
  const keyFile = join(folder, `${selector}.pem`)
  return { domain, selector, keyFile, canonicalization, ...(expireMs === undefined ? {} : { expireMs }) }
}

interface Signer {
  readonly events: object[]
  readonly clock: { at: number }
  /** TXT records there are. */
  readonly texts: Map<string, LookUp<string>>
  sign(content: string | Buffer, edits?: readonly HeaderEdit[], reversePath?: string): Promise<Disposition>
  health(): Promise<readonly string[]>
  /** `dkim seven-bit on` */
  encodeFirst(): void
  /** As after a reload. */
  use(...dkim: readonly DkimKey[]): void
  close(): Promise<void>
}

async function signer(...dkim: readonly DkimKey[]): Promise<Signer> {
  const events: object[] = []
  const clock = { at: receivedAt }
  const texts = new Map<string, LookUp<string>>()
  const configurationWith = (keys: readonly DkimKey[]) => ({
    pipeline: { dkim: keys, dkimSevenBit: false, queues: new Map([['sign', { tag: 'Signed' }]]) },
  })
  const mutable = {
    configuration: configurationWith(dkim),
    clock: { now: () => clock.at },
    resolver: { txt: async (name: string) => texts.get(name) ?? { kind: 'absent', name: true } },
    log: silentLog(),
    events: { signed: (fields: object) => events.push(fields) },
    signal: new AbortController().signal,
  }
  const context = mutable as unknown as StageContext
  const stage = await openSigner(context)
  return {
    events,
    clock,
    texts,
    sign: (content, edits = [], reversePath = 'jane@example.org') =>
      stage.handle(
        largeInPieces(stageMessage(Buffer.from(content as string), envelopeFrom(reversePath), edits)),
        context,
      ),
    health: () => stage.health(),
    encodeFirst() {
      mutable.configuration = { pipeline: { ...mutable.configuration.pipeline, dkimSevenBit: true } }
    },
    use(...keys) {
      mutable.configuration = configurationWith(keys)
    },
    close: () => stage.close(),
  }
}

/** A large message comes as a stream, and nobody may want it as a whole. */
function largeInPieces(message: StageMessage): StageMessage {
  const { stored, sizeBytes } = message
  if (sizeBytes <= 1_048_576) return message
  const pieces = async function* (start: number) {
    const whole = await stored.content()
    for (let at = start; at < whole.length; at += 65_536) yield whole.subarray(at, Math.min(at + 65_536, whole.length))
  }
  return {
    ...message,
    stored: {
      ...stored,
      content: () => assert.fail('a large message was read as a whole'),
      stream: (start = 0) => Readable.from(pieces(start)),
    },
  }
}

function envelopeFrom(reversePath: string): Envelope {
  return {
    id: newMessageId(receivedAt),
    reversePath: reversePath as Mailbox,
    recipients: [{ mailbox: 'x@y.example' as Mailbox }],
    tags: [],
    origin: { kind: 'local' },
    receivedAt,
  }
}

function editsOf(disposition: Disposition): readonly HeaderEdit[] {
  assert.equal(disposition.kind, 'pass')
  return disposition.kind === 'pass' ? (disposition.edits ?? []) : []
}

/** The message as the next hop gets it. */
function leaving(content: string | Buffer, edits: readonly HeaderEdit[]): Buffer {
  const octets = Buffer.from(content as string)
  const end = headerLength(octets)
  const { header, before, after } = editMessage(octets.subarray(0, end), edits)
  return Buffer.concat([header, before, octets.subarray(end), after])
}

async function mailauthSays(message: Buffer): Promise<readonly string[]> {
  const { results } = await dkimVerify(message, { resolver: async (name) => [[recordOf(name)]] })
  return results.map(({ status }) => status.result)
}

function recordOf(name: string): string {
  const selector = name.split('.')[0] ?? ''
  return dkimRecord(pems[selector] ?? '', selector, '').value
}

const plain = 'From: Jane <jane@example.org>\r\nTo: x@y.example\r\nSubject: Hello\r\n\r\nHello\r\n'

test('a signed message is accepted by mailauth, RSA and Ed25519 together, short and long', async () => {
  const stage = await signer(entry('example.org'), entry('example.org', 'ed', 'relaxed/relaxed', 1e12))
  for (const content of [plain, plain + 'A line of text.\r\n'.repeat(20_000)]) {
    const edits = editsOf(await stage.sign(content))
    assert.deepEqual(await mailauthSays(leaving(content, edits)), ['pass', 'pass'])
  }
  assert.equal(stage.events.length, 4)
  await stage.close()
})

test('a large message is hashed as it streams by, what stages put around its body included', async () => {
  const stage = await signer(entry('example.org'), entry('example.org', 'ed', 'relaxed/relaxed'))
  const large = `${plain}${'A line of text,  with blanks. \r\n'.repeat(100_000)}\r\n\r\n`
  for (const edits of [[], [safeReport(newMessageId(receivedAt), ['junk'])]]) {
    const all = [...edits, ...editsOf(await stage.sign(large, edits))]
    assert.deepEqual(await mailauthSays(leaving(large, all)), ['pass', 'pass'])
  }
  await stage.close()
})

test('a signature has the form and the lifetime that its key is configured with: 21 days from when it was made', async () => {
  const stage = await signer(entry('example.org', 'rsa', 'relaxed/simple', 21 * 86_400_000))
  const signed = leaving(plain, editsOf(await stage.sign(plain)))
    .toString()
    .replaceAll(/\r\n[ \t]+/g, ' ')
  const [, made, expires] = /^DKIM-Signature:.*? c=relaxed\/simple;.*? t=(\d+);.*? x=(\d+);/m.exec(signed) ?? []
  assert.equal(Number(expires) - Number(made), 1_814_400)
  await stage.close()
})

test('what is signed is the message with its edits applied', async () => {
  const stage = await signer(entry('example.org'))
  const edits: HeaderEdit[] = [
    { kind: 'prepend', fields: 'Received: from a by b;\r\n\tSat, 1 Jan 2000 00:00:00 +0000\r\n' },
    { kind: 'replace', name: 'Subject', field: 'Subject: ***SPAM*** Hello\r\n' },
    { kind: 'remove', name: 'To' },
    safeReport(newMessageId(receivedAt), ['junk']),
    { kind: 'prepend', fields: 'X-Spam: Yes\r\n' },
  ]
  const all = [...edits, ...editsOf(await stage.sign(plain, edits))]
  assert.deepEqual(await mailauthSays(leaving(plain, all)), ['pass'])
  await stage.close()
})

test('signing twice gives the same signature, and a signed message is not signed again', async () => {
  const stage = await signer(entry('example.org'), entry('example.org', 'ed'))
  const first = editsOf(await stage.sign(plain))
  assert.deepEqual(editsOf(await stage.sign(plain)), first)
  assert.deepEqual(editsOf(await stage.sign(plain, first)), [])
  await stage.close()
})

test('the key of the longest matching domain signs; the reverse-path counts when the author has none', async () => {
  const stage = await signer(entry('example.org'), entry('sub.example.org', 'ed'))
  const domainFor = async (from: string, reversePath?: string): Promise<unknown> => {
    stage.events.length = 0
    await stage.sign(`From: ${from}\r\n\r\n`, [], reversePath)
    return stage.events.map((event) => (event as { domain: string }).domain)
  }
  assert.deepEqual(await domainFor('a@sub.example.org'), ['sub.example.org'])
  assert.deepEqual(await domainFor('a@deep.sub.example.org'), ['sub.example.org'])
  assert.deepEqual(await domainFor('a@other.example.org'), ['example.org'])
  assert.deepEqual(await domainFor('a@notexample.org', 'b@example.org'), ['example.org'])
  assert.deepEqual(await domainFor('a@elsewhere.example', 'b@elsewhere.example'), [])
  await stage.close()
})

test('the default key signs for any domain, as that domain', async () => {
  const stage = await signer(entry('*'), entry('example.org', 'ed'))
  await stage.sign(plain)
  await stage.sign('From: a@other.example\r\n\r\n')
  assert.deepEqual(
    stage.events.map((event) => {
      const { domain, selector } = event as { domain: string; selector: string }
      return `${selector} ${domain}`
    }),
    ['ed example.org', 'rsa other.example'],
  )
  await stage.close()
})

test('a message of a domain without a key passes unsigned', async () => {
  const stage = await signer(entry('other.example'))
  assert.deepEqual(await stage.sign(plain), { kind: 'pass', tag: 'Signed', edits: [] })
  await stage.close()
})

test('while the key file is missing messages wait, and it is picked up when it is there', async () => {
  const stage = await signer(entry('example.org', 'late'))
  const refused = await stage.sign(plain)
  assert.equal(refused.kind === 'reject' && refused.reply.code, 451)
  assert.match((await stage.health()).join(), /late\.pem/)
  pems['late'] = await generateKey(join(folder, 'late.pem'), 'ed25519')
  stage.clock.at += 2_000
  assert.deepEqual(await mailauthSays(leaving(plain, editsOf(await stage.sign(plain)))), ['pass'])
  assert.deepEqual(await stage.health(), [])
  await stage.close()
})

test('a changed key file is read again, a broken one is trouble and not a wrong signature', async () => {
  const file = join(folder, 'turn.pem')
  pems['turn'] = await generateKey(file, 'ed25519')
  const stage = await signer(entry('example.org', 'turn'))
  await stage.sign(plain)
  await writeFile(file, 'no key')
  stage.clock.at += 2_000
  assert.equal((await stage.sign(plain)).kind, 'reject')
  await rm(file)
  pems['turn'] = await generateKey(file, 'rsa')
  await chmod(file, 0o644)
  stage.clock.at += 2_000
  assert.deepEqual(await mailauthSays(leaving(plain, editsOf(await stage.sign(plain)))), ['pass'])
  await stage.close()
})

const oddBodies = fc.array(fc.constantFrom('a', ' ', '  ', '\t', '\r\n', '.', '=\r\n', 'ä', 'x'.repeat(1100)), {
  maxLength: 30,
})
const oddFields = fc.array(
  fc.tuple(
    fc.constantFrom('Subject', 'To', 'X-Any', 'Content-Type', 'Cc', 'reply-to'),
    fc.array(fc.constantFrom('a', ' ', '\t', '\r\n ', ';', ':', '=', 'ä', '"'), { maxLength: 10 }),
  ),
  { maxLength: 6 },
)

test('mailauth accepts the signature of any header and body', async () => {
  for (const form of ['relaxed/simple', 'relaxed/relaxed', 'simple/simple']) {
    const stage = await signer(entry('example.org', 'ed', form))
    await fc.assert(
      fc.asyncProperty(oddFields, oddBodies, async (fields, body) => {
        const header = fields.map(([name, words]) => `${name}: x${words.join('')}\r\n`).join('')
        const content = `From: jane@example.org\r\n${header}\r\n${body.join('')}\r\n`
        const message = leaving(content, editsOf(await stage.sign(content)))
        assert.deepEqual(await mailauthSays(message), ['pass'])
      }),
      { numRuns: 100 },
    )
    await stage.close()
  }
})

/** dkimpy: an independent verifier, one process for many messages. */
const verifier = `
import dkim, json, sys
for line in sys.stdin:
    task = json.loads(line)
    dns = lambda name, timeout=5: task['records'].get(name.decode().split('.')[0], '').encode()
    message = dkim.DKIM(bytes.fromhex(task['message']))
    print(all(message.verify(idx=i, dnsfunc=dns) for i in range(task['signatures'])))
`
const python = spawnSync('/usr/bin/python3', ['-c', 'import dkim'])
const skip = python.status === 0 ? false : 'python3-dkim is missing'

test('dkimpy accepts what we sign, RSA and Ed25519', { skip }, async () => {
  const contents = [
    plain,
    'From: jane@example.org\r\n\r\n',
    'From: jane@example.org\r\nSubject: a\r\n\tfolded  one\r\nTo:\r\n x@y.example\r\n\r\n\r\n\r\n',
    'From: jane@example.org\r\nSubject: caf\u00e9 \u00e0\r\n\r\nblanks \t at the end \t\r\n \r\n\r\nand none',
    `From: jane@example.org\r\n${'To: x@y.example\r\n'.repeat(12)}\r\n${'long '.repeat(900)}\r\n\r\n\r\n`,
  ]
  const tasks: string[] = []
  for (const form of ['relaxed/simple', 'relaxed/relaxed', 'simple/simple', 'simple/relaxed']) {
    const stage = await signer(entry('example.org', 'rsa', form, 1e12), entry('example.org', 'ed', form))
    for (const content of contents) {
      const message = leaving(content, editsOf(await stage.sign(content)))
      const records = { rsa: recordOf('rsa'), ed: recordOf('ed') }
      tasks.push(JSON.stringify({ message: message.toString('hex'), signatures: 2, records }))
    }
    await stage.close()
  }
  const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-c', verifier], { input: tasks.join('\n') })
  assert.equal(stdout.toString(), 'True\n'.repeat(tasks.length), stderr.toString())
})

test('after a reload the keys of the configuration in force sign, and its broken ones are told', async (t) => {
  const signing = await signer(entry('example.org', 'rsa'))
  t.after(() => signing.close())
  const content = 'From: jane@example.org\r\n\r\nx\r\n'
  await signing.sign(content)
  signing.use(entry('example.org', 'ed'))
  await signing.sign(content)
  assert.deepEqual(
    signing.events.map((event) => (event as { readonly selector: string }).selector),
    ['rsa', 'ed'],
  )
  signing.use(entry('example.org', 'gone'))
  assert.equal((await signing.sign(content)).kind, 'reject')
  assert.equal((await signing.health()).length, 1)
})

const umlauts =
  'From: jane@example.org\r\nSubject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße an alle, die lesen können\r\n'

test('with seven-bit what leaves is all ASCII, means the same, and its signatures hold', async () => {
  const one = await signer(entry('example.org'), entry('example.org', 'ed'))
  one.encodeFirst()
  for (const content of [umlauts, umlauts.replace('Grüße', 'Grüße an alle\r\n'.repeat(30_000))]) {
    const edits = editsOf(await one.sign(content))
    assert.deepEqual(edits[0], { kind: 'seven-bit' })
    const { stored } = stageMessage(Buffer.from(content), envelopeFrom('jane@example.org'))
    const view = await sevenBitView(stored)
    const message = leaving(await view.content(), edits)
    assert.ok(message.every((octet) => octet < 128))
    assert.match(message.toString(), /Gr=C3=BC=C3=9Fe an alle/)
    assert.deepEqual(await mailauthSays(message), ['pass', 'pass'])
    const streamed = await view.stream(view.locator.headerBytes).toArray()
    assert.ok(Buffer.concat([await view.header(), ...streamed]).equals(await view.content()))
    assert.equal(view.locator.sizeBytes, (await view.content()).length)
  }
  await one.close()
})

test('what needs no encoding, or was signed before, is not encoded; nor is anything unless asked', async () => {
  const one = await signer(entry('example.org'))
  const kindsOf = async (content: string, edits: readonly HeaderEdit[] = []): Promise<readonly string[]> =>
    editsOf(await one.sign(content, edits)).map(({ kind }) => kind)
  assert.deepEqual(await kindsOf(umlauts), ['prepend'])
  one.encodeFirst()
  assert.deepEqual(await kindsOf('From: jane@example.org\r\n\r\nHello\r\n'), ['prepend'])
  const signature = 'DKIM-Signature: v=1; d=other.example; s=x\r\n'
  assert.deepEqual(await kindsOf(`${signature}${umlauts}`), ['prepend'])
  assert.deepEqual(await kindsOf(umlauts, [{ kind: 'prepend', fields: signature }]), ['prepend'])
  await one.close()
})

/** A key of its own, with a successor that waits for its record. */
async function succeeded(name: string): Promise<{ readonly key: DkimKey; readonly record: string }> {
  const key = { ...entry('example.org', 'rsa'), keyFile: join(folder, `${name}.pem`) }
  await writeFile(key.keyFile, pems['rsa'] ?? '', { mode: 0o600 })
  const keyFile = successorFile(key, 'next')
  const pem = await generateKey(keyFile, 'ed25519')
  await writeSuccessors(key, [{ selector: 'next', keyFile, madeAt: receivedAt }])
  return { key, record: dkimRecord(pem, 'next', 'example.org').value }
}

const plainMail = 'From: jane@example.org\r\n\r\nHello\r\n'

async function selectorOf(one: Signer): Promise<string | undefined> {
  const [edit] = editsOf(await one.sign(plainMail))
  return edit?.kind === 'prepend' ? /\bs=([^;]+);/.exec(edit.fields)?.[1] : undefined
}

/** Each look is a minute after the one before; nothing says when the answer has come, so some are needed. */
async function untilSelector(one: Signer, wanted: string): Promise<void> {
  for (let round = 0; (await selectorOf(one)) !== wanted; round += 1) {
    assert.ok(round < 1_000, `no signature by ${wanted}`)
    one.clock.at += 60_000
  }
}

test('a new key signs when its own record is in the DNS, the old one until then, and that outlasts a restart', async () => {
  const { key, record } = await succeeded('rotated')
  const one = await signer(key)
  const name = 'next._domainkey.example.org'
  for (const answer of [
    { kind: 'absent', name: true },
    { kind: 'failed', error: new Error('SERVFAIL') },
    { kind: 'found', records: [dkimRecord(pems['ed'] ?? '', 'next', 'example.org').value] },
  ] as const) {
    one.texts.set(name, answer)
    for (let round = 0; round < 5; round += 1) {
      one.clock.at += 60_000
      assert.equal(await selectorOf(one), 'rsa', answer.kind)
    }
  }
  one.texts.set(name, { kind: 'found', records: [record] })
  await untilSelector(one, 'next')
  while ((await readSuccessors(key))[0]?.visibleAt === undefined) await nextTurn()
  await one.close()
  const restarted = await signer(key)
  assert.equal(await selectorOf(restarted), 'next')
  assert.deepEqual(await restarted.health(), [])
  await restarted.close()
})

test('a next key that is made while the DNS is asked about the one before is not forgotten', async (t) => {
  const { key, record } = await succeeded('overtaken')
  const [next] = await readSuccessors(key)
  assert.ok(next !== undefined)
  const another = { ...next, selector: 'another', madeAt: receivedAt + 1 }
  const one = await signer(key)
  t.after(() => one.close())
  const fileOf = async () => (await stat(listPath(key))).ino
  const answered = new Promise<number>((resolve) => {
    t.mock.method(one.texts, 'get', async () => {
      await writeSuccessors(key, [{ ...next, visibleAt: 7 }, another])
      resolve(await fileOf())
      return { kind: 'found', records: [record] }
    })
  })
  one.clock.at += 60_000
  assert.equal(await selectorOf(one), 'rsa')
  for (const before = await answered; (await fileOf()) === before;) await nextTurn()
  assert.deepEqual(await readSuccessors(key), [{ ...next, visibleAt: 7 }, another])
})

test(
  'what a signer has seen is written down when a rotation of the same moment is through',
  { timeout: 120_000 },
  async (t) => {
    const { key, record } = await succeeded('same-moment')
    const [next] = await readSuccessors(key)
    assert.ok(next !== undefined)
    const another = { ...next, selector: 'another', madeAt: receivedAt + 1 }
    const one = await signer(key)
    t.after(() => one.close())
    one.texts.set('next._domainkey.example.org', { kind: 'found', records: [record] })
    const fileOf = async () => (await stat(listPath(key))).ino
    const before = await fileOf()
    await withSuccessors(key, async (successors) => {
      await untilSelector(one, 'next')
      for (let turn = 0; turn < 1_000; turn += 1) await nextTurn()
      assert.equal(await fileOf(), before, 'nothing is written meanwhile')
      await writeSuccessors(key, [...successors, another])
    })
    while ((await readSuccessors(key))[0]?.visibleAt === undefined) await nextTurn()
    const selectors = (await readSuccessors(key)).map(({ selector }) => selector)
    assert.deepEqual(selectors, ['next', 'another'])
  },
)

test('while it is not known which key is in use the mail waits', async () => {
  const { key } = await succeeded('unclear')
  await writeFile(`${key.keyFile}.example.org.successors`, '{')
  const one = await signer(key)
  assert.equal((await one.sign(plainMail)).kind, 'reject')
  assert.match((await one.health()).join(), /unclear\.pem\.example\.org\.successors/)
  await one.close()
})
