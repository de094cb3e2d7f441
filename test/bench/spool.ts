import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Mailbox } from '../../shared/mail/address.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import { openSpool } from '../../shared/spool/file-spool.ts'
import type { FileSpool } from '../../shared/spool/file-spool.ts'
import { Keyring } from '../../shared/spool/keyring.ts'
import { LiveIndex } from '../../shared/spool/live-index.ts'
import type { StoredMessage } from '../../shared/spool/spool.ts'

/**
 * Durable accepts, reads and outcomes of the spool alone. By hand:
 * `node --import tsx test/bench/spool.ts [folder on the disk to measure] [messages] [content octets] [file with the content]`,
 * with `SLUICE_AT_REST` "compression", "encryption" or both.
 */
await main(
  process.argv[2] ?? 'var',
  Number(process.argv[3] ?? 30_000),
  Number(process.argv[4] ?? 4096),
  process.argv[5],
)

async function main(folder: string, messages: number, sizeBytes: number, file: string | undefined): Promise<void> {
  const content = contentOf(sizeBytes, file === undefined ? undefined : await readFile(file))
  const atRest = process.env['SLUICE_AT_REST'] ?? ''
  const encryption = atRest.includes('encryption')
  for (const concurrency of [1, 20, 100]) {
    const path = await mkdtemp(join(folder, 'bench-spool-'))
    const spool = await openSpool({
      path,
      writer: 'bench',
      reserveBytes: 0,
      compression: atRest.includes('compression'),
      encryption,
      ...(encryption && { keyring: new Keyring([randomBytes(32)]) }),
    })
    try {
      await measure(spool, concurrency === 1 ? Math.ceil(messages / 10) : messages, content, concurrency)
    } finally {
      await spool.close()
      await rm(path, { recursive: true })
    }
  }
}

/** A header, then the file's octets again and again, or one letter. */
function contentOf(sizeBytes: number, text = Buffer.from('x')): Buffer {
  const content = Buffer.alloc(sizeBytes, text)
  content.write('Subject: bench\r\n\r\n')
  return content
}

async function measure(spool: FileSpool, messages: number, content: Buffer, concurrency: number): Promise<void> {
  const stored = Array.from({ length: messages }, () => message())
  await report(`store ${content.length} octets`, messages, concurrency, async (index) => {
    const incoming = spool.receive()
    await incoming.write(content)
    await incoming.commit(stored[index] ?? message())
  })
  const startedAt = performance.now()
  const live = await LiveIndex.open(spool.path)
  console.log(`  index of ${live.size} messages: ${Math.round(performance.now() - startedAt)} ms`)
  const entries = [...live.entries()]
  await report('read', messages, concurrency, async (index) => {
    const entry = entries[index]
    if (entry !== undefined) await spool.read(entry.locator)
  })
  await report('settle', messages, concurrency, async (index) => {
    const entry = entries[index]
    if (entry === undefined) return
    await spool.settle([{ id: entry.id, recipient: 0, kind: 'delivered', stage: 'deliver', at: Date.now() }])
  })
}

async function report(
  what: string,
  count: number,
  concurrency: number,
  act: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0
  const run = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await act(index)
  }
  const startedAt = performance.now()
  const cpu = process.cpuUsage()
  await Promise.all(Array.from({ length: concurrency }, run))
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const cpuPer1000 = (user + system) / 1e6 / (count / 1000)
  console.log(
    `${what}, ${concurrency} at once: ${Math.round(count / seconds)}/s, CPU ${cpuPer1000.toFixed(3)} s per 1,000`,
  )
}

function message(): StoredMessage {
  const receivedAt = Date.now()
  const field = `Received: from client.example.org (client.example.org [192.0.2.1])\r\n\tby mx.example.net with ESMTP\r\n`
  return {
    envelope: {
      id: newMessageId(receivedAt),
      reversePath: null,
      recipients: [{ mailbox: 'jane@example.net' as Mailbox }],
      tags: [],
      origin: {
        kind: 'smtp',
        address: '192.0.2.1',
        port: 40000,
        listener: '127.0.0.1:2525',
        helo: 'client.example.org',
      },
      receivedAt,
    },
    edits: [{ kind: 'prepend', fields: field }],
    revision: 'bench',
  }
}
