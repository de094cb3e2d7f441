import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { loadConfiguration } from '../../shared/config/load.ts'
import type { Configuration } from '../../shared/config/model.ts'
import { openTables } from '../../shared/config/tables.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { tag } from '../../shared/mail/tag.ts'
import { resolveRecipient } from '../../shared/routing/expand.ts'
import { route } from '../../shared/routing/route.ts'
import type { RoutingContext } from '../../shared/routing/transaction.ts'

/**
 * How long a configuration takes to load, and how many recipients one core routes by it: at the first rule, at the last one and
 * at none. By hand: `node --import tsx test/bench/rules.ts [rules ...]`
 */
await main(process.argv.length > 2 ? process.argv.slice(2).map(Number) : [10, 100, 1_000, 10_000])

async function main(sizes: readonly number[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-rules-'))
  try {
    console.log('| grammar | rules | load ms | first rule/s | last rule/s | no rule/s | RCPT (resolve)/s |')
    console.log('| --- | --- | --- | --- | --- | --- | --- |')
    for (const grammar of ['modern', 'old'] as const) {
      for (const size of sizes) await measure(folder, grammar, size)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function measure(folder: string, grammar: 'modern' | 'old', size: number): Promise<void> {
  const smtpdConf = join(folder, `${grammar}-${size}.conf`)
  await writeFile(smtpdConf, grammar === 'modern' ? modernFile(size) : oldFile(size))
  const loads: number[] = []
  let configuration: Configuration | undefined
  for (let round = 0; round < 5; round += 1) {
    const startedAt = performance.now()
    configuration = (await loadConfiguration({ smtpdConf, hostname: 'mx.example.org' })).configuration
    loads.push(performance.now() - startedAt)
  }
  if (configuration === undefined) return
  const context: RoutingContext = {
    configuration,
    tables: openTables(),
    localAddresses: new Set(['127.0.0.1']),
    transaction: {
      peer: { address: '192.0.2.1' },
      helo: 'client.example.net',
      tls: true,
      tags: [tag('Filtered')],
      reversePath: 'jane@sender.example' as Mailbox,
    },
  }
  const [first, last, none] = ['user@d0.example.org', 'user@last.example.org', 'user@nowhere.test'].map(mailbox)
  if (first === undefined || last === undefined || none === undefined) return
  const rates = [first, last, none].map((to) => perSecond(() => route(context, to)))
  const resolved = perSecond(() => resolveRecipient(context, last))
  const median = loads.toSorted((one, other) => one - other)[2] ?? 0
  console.log(`| ${[grammar, size, Math.round(median), ...rates, resolved].join(' | ')} |`)
}

function mailbox(text: string): Mailbox {
  return text as Mailbox
}

/** Of one core, over half a second. */
function perSecond(act: () => unknown): number {
  for (let round = 0; round < 1_000; round += 1) act()
  const startedAt = performance.now()
  let count = 0
  while (performance.now() - startedAt < 500) {
    for (let round = 0; round < 100; round += 1) act()
    count += 100
  }
  return Math.round((count / (performance.now() - startedAt)) * 1000)
}

/** Domains, networks, tags, senders and recipients in turn, one action for ten rules; relays only, so that no user is looked up. */
function modernFile(size: number): string {
  const lines = ['listen on lo port 2525']
  const actions = Math.ceil(size / 10)
  for (let index = 0; index < actions; index += 1)
    lines.push(`action "relay${index}" relay host smtp://mx${index}.example.net`)
  const forms = [
    (index: number) => `from any for domain { "d${index}.example.org", "e${index}.example.org" }`,
    (index: number) => `from src "10.${(index >> 8) & 255}.${index & 255}.0/24" for domain "d${index}.example.com"`,
    (index: number) => `tag T${index} from any for any`,
    (index: number) => `from any mail-from "@s${index}.example.org" for rcpt-to "user${index}@example.org"`,
  ]
  for (let index = 0; index < size - 1; index += 1)
    lines.push(`match ${forms[index % forms.length]?.(index)} action "relay${index % actions}"`)
  lines.push('match from any for domain "last.example.org" action "relay0"')
  return `${lines.join('\n')}\n`
}

function oldFile(size: number): string {
  const lines = ['listen on lo port 2525']
  const forms = [
    (index: number) => `from any for domain "d${index}.example.org" relay via "smtp://mx${index}.example.net"`,
    (index: number) => `from source "10.${(index >> 8) & 255}.${index & 255}.0/24" for domain "d${index}.test" relay`,
    (index: number) => `tagged T${index} from any for any relay via smtp://mx${index}.example.net`,
    (index: number) => `from any sender "@s${index}.example.org" for domain "x${index}.example.org" relay`,
  ]
  for (let index = 0; index < size - 1; index += 1) lines.push(`accept ${forms[index % forms.length]?.(index)}`)
  lines.push('accept from any for domain "last.example.org" relay')
  return `${lines.join('\n')}\n`
}
