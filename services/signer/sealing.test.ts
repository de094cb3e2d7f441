import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { authenticate } from 'mailauth'

import type { DkimKey } from '../../shared/config/model.ts'
import { prepareArc, verifyArc } from '../../shared/dkim/arc.ts'
import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import { generateKey } from '../../shared/dkim/generate-key.ts'
import { SignaturePreparation } from '../../shared/dkim/prepare.ts'
import { rawFields } from '../../shared/dkim/raw-field.ts'
import { silentLog } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import { applyEdits } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { StageContext } from '../../shared/pipeline/stage.ts'
import { headerLength, stageMessage } from '../../shared/pipeline/testing.ts'
import { openSigner } from './index.ts'

let folder = ''
const pems: Record<string, string> = {}
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealing-'))
  for (const [name, type] of [
    ['rsa', 'rsa'],
    ['ed', 'ed25519'],
  ] as const)
    pems[name] = await generateKey(join(folder, `${name}.pem`), type)
})
after(() => rm(folder, { recursive: true, force: true }))

const receivedAt = 1_700_000_000_000

function key(domain: string, selector = 'rsa', file = selector): DkimKey {
  return { domain, selector, keyFile: join(folder, `${file}.pem`), canonicalization: 'relaxed/relaxed' }
}

interface Hop {
  readonly events: object[]
  run(content: Buffer, edits: readonly HeaderEdit[]): Promise<Disposition>
  /** The message behind the hop, whose filter found this of ARC. */
  forward(content: Buffer, arc: string): Promise<Buffer>
  close(): Promise<void>
}

/** A signer of `domain` that seals; `dkim`: keys of authors it signs for. */
async function hop(domain: string, arcSeal = key(domain), dkim: readonly DkimKey[] = []): Promise<Hop> {
  const events: object[] = []
  const context = {
    configuration: {
      authservId: domain,
      pipeline: { dkim, arcSeal, queues: new Map() },
    },
    clock: { now: () => receivedAt },
    log: silentLog(),
    events: { signed: (fields: object) => events.push(fields) },
    signal: new AbortController().signal,
  } as unknown as StageContext
  const stage = await openSigner(context, 1)
  const run = (content: Buffer, edits: readonly HeaderEdit[]): Promise<Disposition> =>
    stage.handle(stageMessage(content, envelope(), edits), context)
  return {
    events,
    run,
    close: () => stage.close(),
    async forward(content, arc) {
      const edits = [results(domain, arc)]
      const disposition = await run(content, edits)
      assert.equal(disposition.kind, 'pass')
      const end = headerLength(content)
      const all = [...edits, ...((disposition.kind === 'pass' && disposition.edits) || [])]
      return Buffer.concat([applyEdits(content.subarray(0, end), all), content.subarray(end)])
    },
  }
}

/** As the filter writes it. */
function results(authservId: string, arc: string, spf = 'spf=pass smtp.mailfrom=jane@north.example'): HeaderEdit {
  const fields = `Authentication-Results: ${authservId};\r\n\t${spf};\r\n\tdmarc=pass header.from=north.example\r\n\tpolicy.dmarc=reject;\r\n\tarc=${arc}\r\n`
  return { kind: 'prepend', fields }
}

function envelope(): Envelope {
  return {
    id: newMessageId(receivedAt),
    reversePath: 'jane@north.example' as Mailbox,
    recipients: [{ mailbox: 'x@far.example' as Mailbox }],
    tags: [],
    origin: { kind: 'smtp', address: '192.0.2.7' },
    receivedAt,
  }
}

function recordOf(name: string): string {
  const selector = name.split('.')[0] ?? ''
  return dkimRecord(pems[selector] ?? '', selector, '').value
}

/** Our own verifier: `pass 2 south.example`. */
async function verdict(message: Buffer): Promise<string> {
  const end = headerLength(message)
  const preparation = new SignaturePreparation(rawFields(message.subarray(0, end)))
  const finish = prepareArc(preparation)
  preparation.body(message.subarray(end))
  const txt = async (name: string) => ({ kind: 'found', records: [recordOf(name)] }) as const
  const { result, instances, sealer = '-' } = await verifyArc(finish(), { txt, atMs: receivedAt })
  return `${result} ${instances} ${sealer}`
}

async function mailauthSays(message: Buffer): Promise<string | undefined> {
  const { arc } = await authenticate(message, {
    ip: '192.0.2.7',
    helo: 'mail.north.example',
    sender: 'jane@north.example',
    mta: 'far.example',
    resolver: async (name: string, type: string) => {
      if (type === 'TXT' && name.includes('_domainkey')) return [[recordOf(name)]]
      throw Object.assign(new Error('absent'), { code: 'ENOTFOUND' })
    },
  })
  return arc !== false && arc !== undefined ? arc.status.result : undefined
}

const plain = Buffer.from(
  'DKIM-Signature: v=1; d=north.example; x\r\nFrom: Jane <jane@north.example>\r\nTo: list@south.example\r\nSubject: caf\u00e9\r\n\r\nHello  \r\n\r\n',
)

/** What the verifier of the next hop writes of it. */
const passed = 'pass (i=1, sealed by south.example)'

test('mail of others is sealed with what our filter found, hop by hop, and the chain holds', async () => {
  const [south, east] = [await hop('south.example'), await hop('east.example')]
  const one = await south.forward(plain, 'none')
  assert.equal(await verdict(one), 'pass 1 south.example')
  const two = await east.forward(one, passed)
  assert.equal(await verdict(two), 'pass 2 east.example')
  assert.match(two.toString(), /^ARC-Seal: i=2; a=rsa-sha256; d=east\.example; s=rsa; t=1700000000;\s+cv=pass;/)
  assert.match(
    two.toString(),
    /ARC-Authentication-Results: i=2; east\.example;\r\n\tspf=pass smtp\.mailfrom=jane@north\.example;/,
  )
  assert.equal(await mailauthSays(one), 'pass')
  assert.equal(await mailauthSays(two), 'pass')
  assert.deepEqual(
    south.events.map((event) => ({ ...event, id: '' })),
    [{ id: '', domain: 'south.example', selector: 'rsa', algorithm: 'rsa-sha256', arc: true }],
  )
  await south.close()
  await east.close()
})

test('a long message is sealed in a thread, an Ed25519 key seals too, and our DKIM signature is under the seal', async () => {
  const south = await hop('south.example', key('south.example'), [key('north.example', 'ed')])
  const longer = (lines: number): Buffer => Buffer.concat([plain, Buffer.from('A line of text.\r\n'.repeat(lines))])
  assert.equal(await verdict(await south.forward(longer(100_000), 'none')), 'pass 1 south.example')
  const sealed = await south.forward(longer(10_000), 'none')
  assert.equal(await verdict(sealed), 'pass 1 south.example')
  assert.equal(await mailauthSays(sealed), 'pass')
  assert.match(
    sealed.toString('latin1'),
    /^ARC-Seal: (?:.|\r\n\t)*\r\nARC-Message(?:.|\r\n\t)*\r\nARC-Auth(?:.|\r\n\t)*\r\nDKIM-Signature: v=1; a=ed25519/,
  )
  const changed = Buffer.from(
    sealed.toString('latin1').replace('DKIM-Signature: v=1; a=ed', 'DKIM-Signature: v=2; a=ed'),
    'latin1',
  )
  assert.match(await verdict(changed), /^fail/)
  await south.close()
  const ed = await hop('south.example', key('south.example', 'ed'))
  assert.equal(await verdict(await ed.forward(plain, 'none')), 'pass 1 south.example')
  await ed.close()
})

test('what goes by twice is sealed once, and the same each time', async () => {
  const south = await hop('south.example')
  const edits = [results('south.example', 'none')]
  const first = await south.run(plain, edits)
  assert.deepEqual(await south.run(plain, edits), first)
  assert.equal(first.kind, 'pass')
  const again = await south.run(plain, [...edits, ...((first.kind === 'pass' && first.edits) || [])])
  assert.deepEqual(again, { kind: 'pass', tag: 'Signed', edits: [] })
  const sealed = await south.forward(plain, 'none')
  const east = await hop('east.example')
  const passed = [results('east.example', 'pass')]
  const second = await east.run(sealed, passed)
  assert.ok(second.kind === 'pass' && second.edits?.length === 1)
  const twice = await east.run(sealed, [...passed, ...second.edits])
  assert.deepEqual(twice, { kind: 'pass', tag: 'Signed', edits: [] })
  await Promise.all([south.close(), east.close()])
})

test('nothing is sealed that nobody checked, that is our own, or whose chain does not hold', async () => {
  const [south, east] = [await hop('south.example'), await hop('east.example')]
  const one = await south.forward(plain, 'none')
  const forged = 'spf=fail smtp.mailfrom="x; arc=pass"@north.example'
  const cases: readonly (readonly [string, Buffer, readonly HeaderEdit[]])[] = [
    ['no results', plain, []],
    ['results of somebody else', plain, [results('other.example', 'none')]],
    [
      'results in the message itself',
      Buffer.concat([Buffer.from('Authentication-Results: east.example; arc=none\r\n'), plain]),
      [],
    ],
    ['a chain that fails', one, [results('east.example', 'fail (i=1)')]],
    ['a chain that could not be checked', one, [results('east.example', 'temperror')]],
    ['a pass that a stranger wrote', one, [results('east.example', 'fail', forged)]],
    ['a chain that is not the one that was checked', one, [results('east.example', 'none')]],
    ['no chain where one was checked', plain, [results('east.example', 'pass')]],
  ]
  for (const [what, content, edits] of cases)
    assert.deepEqual(await east.run(content, edits), { kind: 'pass', tag: 'Signed', edits: [] }, what)
  await south.close()
  await east.close()
})

test('while the key cannot be read mail waits', async () => {
  const edits = [results('south.example', 'none')]
  await writeFile(join(folder, 'broken.pem'), 'no key')
  const broken = await hop('south.example', key('south.example', 'rsa', 'broken'))
  const refused = await broken.run(plain, edits)
  assert.equal(refused.kind === 'reject' && refused.reply.code, 451)
  await broken.close()
})

/** dkimpy: an independent verifier. */
const verifier = `
import dkim, json, sys
for line in sys.stdin:
    task = json.loads(line)
    dns = lambda name, timeout=5: task['records'].get(name.decode().split('.')[0], '').encode()
    cv, results, reason = dkim.arc_verify(bytes.fromhex(task['message']), dnsfunc=dns)
    print(cv.decode(), len(results), reason)
`
const python = spawnSync('/usr/bin/python3', ['-c', 'import dkim'])
const skip = python.status === 0 ? false : 'python3-dkim is missing'

test('dkimpy accepts chains of one and three seals', { skip }, async () => {
  const hops = [await hop('south.example'), await hop('east.example'), await hop('west.example')]
  const chain: Buffer[] = []
  for (const [index, one] of hops.entries())
    chain.push(await one.forward(chain.at(-1) ?? plain, index === 0 ? 'none' : passed))
  const tasks = chain.map((message) =>
    JSON.stringify({ message: message.toString('hex'), records: { rsa: recordOf('rsa') } }),
  )
  const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-c', verifier], { input: tasks.join('\n') })
  const lines = stdout.toString().trim().split('\n')
  assert.deepEqual(
    lines.map((line) => line.split(' ')[0]),
    ['pass', 'pass', 'pass'],
    stdout.toString() + stderr.toString(),
  )
  for (const one of hops) await one.close()
})
