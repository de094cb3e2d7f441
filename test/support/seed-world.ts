import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { oracleText, withoutOracle } from '../../shared/config/oracle-fixture.ts'
import type { JournalEntry } from '../../shared/journal.ts'
import { atEnd } from './at-end.ts'
import { startDns } from './dns.ts'
import { type Dovecot, startDovecot } from './dovecot.ts'
import { fixture } from './fixtures.ts'
import { type MailSink, startMailSink } from './mail-sink.ts'
import { MailSystem } from './mail-system.ts'
import { place } from './private-machine.ts'

/** The file this project began with; where it is not at hand, one of ours that asks the same. */
export const seedConf =
  withoutOracle === false
    ? oracleText('seed.smtpd.conf')
    : readFileSync(fixture('two-content-filters.smtpd.conf'), 'utf8')

export interface World {
  readonly dovecot: Dovecot
  /** The mail server of far.example. */
  readonly far: MailSink
}

/** What the file names, at the places it names: certificates, aliases, Dovecot's socket; and a world to send to. */
export async function startSeedWorld(t: TestContext): Promise<World> {
  for (const name of ['crt', 'key'] as const) {
    const text = readFileSync(fixture(`tls/server.${name === 'crt' ? 'pem' : 'key'}`), 'utf8')
    await place(`/etc/certs/exem.pl.${name}`, { text })
  }
  await place('/etc/certs/dkim.key', { text: readFileSync(fixture('dkim/rsa.key'), 'utf8') })
  await place('/etc/aliases', { text: 'root: joe\n' })
  const dovecot = await startDovecot({ users: { joe: 'x' } })
  atEnd(t, () => dovecot.stop())
  await place('/run/dovecot/lmtp', { target: dovecot.lmtpSocket })
  const zone = { 'far.example': { MX: [[10, 'mx.far.example']] as const }, 'mx.far.example': { A: ['127.0.0.2'] } }
  const dns = await startDns(zone, 53)
  atEnd(t, () => dns.stop())
  const far = await startMailSink({ host: '127.0.0.2', port: 25 })
  atEnd(t, () => far.stop())
  return { dovecot, far }
}

/** The product with the file as it stands, and with this pipeline.conf and not a line more. */
export async function startSeed(t: TestContext, pipeline: string): Promise<MailSystem> {
  const system = await MailSystem.start({
    conf: seedConf,
    files: { 'pipeline.conf': pipeline },
    env: { SMTPD_HOSTNAME: 'mail.exem.pl' },
  })
  atEnd(t, () => system.stop())
  return system
}

/** How often a message passed each queue that hands it back, from its journal once `end` is in it. */
export async function visits(system: MailSystem, id: unknown, end: string): Promise<Readonly<Record<string, number>>> {
  const folder = join(system.dataFolder, 'events')
  for (;;) {
    const journals = readdirSync(folder).filter((name) => name.endsWith('.ndjson'))
    const texts = journals.map((name) => readFileSync(join(folder, name), 'utf8'))
    const story = texts
      .flatMap((text) => text.split('\n').filter((line) => line !== ''))
      .map((line) => JSON.parse(line) as JournalEntry)
      .filter((entry) => entry.id === id)
    const counted: Record<string, number> = {}
    for (const { event, stage } of story)
      if (event === 'passed') counted[String(stage)] = (counted[String(stage)] ?? 0) + 1
    if (story.some(({ event }) => event === end)) return counted
    await pause(20)
  }
}
