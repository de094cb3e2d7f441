import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { createTraffic } from './store-traffic.ts'
import { openStoreReader, openStoreWriter } from '../../shared/store/open-store.ts'
import { parseQuery } from '../../shared/store/query.ts'
import { storePath } from '../../shared/store/sqlite-store.ts'
import { sqlitePlace } from '../../shared/store/store-place.ts'
import type { StoreReader } from '../../shared/store/store-reader.ts'
import { startEventDatabase } from '../support/event-database.ts'
import { postgresLoad, postgresSizes, sqliteSizes } from './store-size.ts'

/**
 * The message store alone: a journal of made-up mail is written, taken over by the store as the ledger does it, and searched.
 *
 *   node --import tsx test/bench/store.ts [--messages 1000000] [--live 50] [--keep FOLDER] [--postgresql]
 */
const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000000' },
    /** So many messages at a time for the last 20,000: mail as it comes, not a rebuild. */
    live: { type: 'string', default: '50' },
    /** Left there; a store that is there is searched only. */
    keep: { type: 'string' },
    /** In a PostgreSQL of its own, which is there for the run, in place of SQLite. */
    postgresql: { type: 'boolean', default: false },
  },
})

const messages = Number(values.messages)
const dayMs = 86_400_000
const days = 30
const folder = values.keep ?? (await mkdtemp(join(tmpdir(), 'sluice-bench-store-')))
const database = values.postgresql ? await startEventDatabase() : undefined
const place = database?.place ?? sqlitePlace
const isThere = await stat(storePath(folder)).catch(() => undefined)
console.log(`${availableParallelism()} x ${cpus()[0]?.model ?? '?'}, Node ${process.version}, ${messages} messages`)
try {
  if (isThere === undefined) await fill()
  await search()
} finally {
  await database?.server.stop()
  if (values.keep === undefined) await rm(folder, { recursive: true })
}

async function fill(): Promise<void> {
  const betweenMs = (days * dayMs) / messages
  const traffic = createTraffic(Date.now() - days * dayMs, betweenMs)
  const now = (): number => Date.now()
  const warn = (fields: object, text: string): void => console.log(text, fields)
  const writer = await openStoreWriter({ folder, place, now, warn })
  const perFile = 20_000
  let journalBytes = 0
  for (let start = 0, file = 0; start < messages; start += perFile, file += 1) {
    const lines = traffic.lines(Math.min(perFile, messages - start))
    const isLast = start + perFile >= messages
    const perTick = isLast ? Number(values.live) * 6 : lines.length
    const used = process.cpuUsage()
    const servedMs = database === undefined ? 0 : await postgresLoad(database)
    const startedAt = performance.now()
    for (let line = 0; line < lines.length; line += perTick) {
      const text = lines.slice(line, line + perTick).join('')
      journalBytes += text.length
      await writeFile(join(folder, `sluice-bench-1-${file}.ndjson`), text, { flag: 'a' })
      while ((await writer.tick()) > 0);
    }
    const { user, system } = process.cpuUsage(used)
    const wallMs = performance.now() - startedAt
    const count = Math.min(perFile, messages - start)
    if (isLast || file % 10 === 0) {
      const how = isLast ? `, ${values.live} at a time` : ''
      const served =
        database === undefined
          ? ''
          : ` and ${((((await postgresLoad(database)) - servedMs) * 1000) / count).toFixed(0)} us of the server`
      console.log(
        `${start + count} messages${how}: CPU ${((user + system) / count).toFixed(0)} us${served}, ${((wallMs * 1000) / count).toFixed(0)} us a message`,
      )
    }
  }
  await writer.close()
  const { octets, parts } = database === undefined ? await sqliteSizes(folder) : await postgresSizes(database)
  console.log(
    `journal ${Math.round(journalBytes / messages)} octets a message, database ${Math.round(octets / messages)}:`,
  )
  for (const [name, size] of parts) if (size / messages >= 1) console.log(`  ${name} ${(size / messages).toFixed(1)}`)
}

async function search(): Promise<void> {
  const reader = await openStoreReader(folder, place)
  const relayed = parseQuery('status:relayed before:9d', Date.now())
  const [some] = (await reader.search({ query: relayed, limit: 1 })).messages
  if (some === undefined) throw new Error('the store is empty')
  const [copy] = some.copies
  const host = copy?.remote?.split('queued as ')[1] ?? ''
  const queries = [
    '',
    `id:${some.id}`,
    `message-id:${some.messageId ?? ''}`,
    `from:${some.from ?? ''}`,
    `to:${copy?.mailbox ?? ''}`,
    'to:person7@example.org status:failed',
    'to:person7@example.org after:3d',
    'domain:example.org',
    'domain:big1.example',
    'domain:company77.example',
    'domain:nowhere.example',
    'domain:big1.example status:failed',
    'from:@big1.example domain:example.org before:20d',
    `client:${some.client ?? ''}`,
    'tag:Signed',
    'tag:Nothing',
    'tag:Signed domain:company77.example',
    'queue:relay status:failed',
    'status:held',
    'status:open',
    'status:discarded before:25d',
    'rule:44',
    'rule:46 before:29d',
    'class:mailbox-full',
    '"mailbox full"',
    'text:greylisted',
    `text:"queued as ${host}"`,
    'text:"word that nobody said"',
    '-status:delivered -status:relayed',
    'from:office@ status:failed',
    'to:person7',
    'to:nobody-of-that-name',
    'from:office domain:example.org',
    'today',
    'rule:46 tag:Filtered',
    'after:1d user:person9@example.org',
  ]
  for (const text of queries) await measure(reader, text)
  const startedAt = performance.now()
  const sums = await reader.sums()
  console.log(`sums: ${(performance.now() - startedAt).toFixed(0)} ms ${JSON.stringify(sums)}`)
  const hoursAt = performance.now()
  const hours = await reader.hours(Date.now() - dayMs)
  console.log(`the last 24 hours: ${(performance.now() - hoursAt).toFixed(1)} ms for ${hours.length} hours`)
  const storyAt = performance.now()
  const lines = (await reader.story(some.id)).length
  console.log(`story of ${lines} lines: ${(performance.now() - storyAt).toFixed(1)} ms`)
  await reader.close()
}

/** The first page, the next one, and one far back. */
async function measure(reader: StoreReader, text: string): Promise<void> {
  const now = Date.now()
  const page = async (query: string, before?: string): Promise<{ ms: number; found: number; next?: string }> => {
    const startedAt = performance.now()
    const { messages: found, next } = await reader.search({
      query: parseQuery(query, now),
      limit: 50,
      ...(before === undefined ? {} : { before }),
    })
    return { ms: performance.now() - startedAt, found: found.length, ...(next === undefined ? {} : { next }) }
  }
  const first = await page(text)
  const second = first.next === undefined ? undefined : await page(text, first.next)
  const back = /before:|after:|today/.test(text) ? undefined : await page(`${text} before:28d`)
  const ms = (one: { readonly ms: number } | undefined): string => (one === undefined ? '' : one.ms.toFixed(1))
  console.log(
    `| ${text === '' ? '(all)' : `\`${text}\``} | ${first.found} | ${ms(first)} | ${ms(second)} | ${ms(back)} |`,
  )
}
