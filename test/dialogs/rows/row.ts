import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import {
  configurationOf,
  connectFrom,
  fixtureConfiguration,
  fixturePath,
  hold,
  startRestricted,
} from '../../../services/inbound/restrictions/testing.ts'
import type { Dialogue, RestrictedInbound } from '../../../services/inbound/restrictions/testing.ts'
import type { Rejection } from '../../../services/inbound/testing.ts'
import type { Configuration } from '../../../shared/config/model.ts'
import type { Zone } from '../../../shared/restrictions/testing.ts'
import type { SmtpClient } from '../../support/smtp-client.ts'

/** What is configured: a folder of test/fixtures/seeds by name, or the texts of smtpd.conf and pipeline.conf. */
export type Site = string | { readonly smtpd: string; readonly pipeline: readonly string[] }

/** One line of the table: what is configured, what is said, and what is answered. */
export interface DoorRow extends Talk {
  /** Of CAPABILITIES.md. */
  readonly row: number
  readonly what: string
  readonly site: Site
}

export interface Talk {
  readonly zone?: Zone
  /** The address that says it; absent: one that nobody trusts. */
  readonly client?: string
  /** Port of smtpd.conf; absent: that of the first listener. */
  readonly port?: number
  /** `starttls`: says EHLO before and after; `implicit`: from the first octet. */
  readonly tls?: 'starttls' | 'implicit'
  /** Beginning of the greeting; absent: `220 `. Behind another one the server closes. */
  readonly greeting?: string
  /** Lines of EHLO as the session stands at the start, each begins with the text; with `-` none does. */
  readonly ehlo?: readonly string[]
  readonly says: Dialogue
  /** Milliseconds that it was made to wait. */
  readonly slept?: readonly number[]
  /** What the messages that were accepted must look like. */
  readonly stored?: readonly Stored[]
  /** What the first event of a refusal says. */
  readonly rejected?: Partial<Rejection>
}

/** A message as the next stage sees it. */
export interface Stored {
  readonly from?: string
  readonly to?: readonly string[]
  readonly tags?: readonly string[]
  readonly has?: readonly RegExp[]
  readonly lacks?: readonly RegExp[]
}

/** A row that something else than the SMTP session decides. */
export interface ElsewhereRow {
  readonly row: number
  readonly what: string
  /** Test file, and words of the name of a test in it; or what is to be built, and where it is written down. */
  readonly shownBy: readonly [file: string, words: string] | { readonly issue: string }
}

export const outside = '203.0.113.5'

/** Defines a test: what is said to a site. */
export function testTalk(name: string, site: Site, row: Talk): void {
  test(name, async (t) => {
    const inbound = await startRestricted(await configurationAt(site), row.zone ?? {})
    t.after(() => inbound.close())
    const client = await connected(t, site, row, inbound)
    if (row.ehlo !== undefined) checkOffer((await client.command('EHLO mail.ailleurs.example')).raw, row.ehlo)
    await hold(client, row.says)
    if (row.greeting !== undefined && !row.greeting.startsWith('220')) await client.waitForClose()
    assert.deepEqual(inbound.slept, row.slept ?? [])
    assert.deepEqual({ ...inbound.rejections[0], ...row.rejected }, { ...inbound.rejections[0] })
    for (const [index, stored] of (row.stored ?? []).entries()) checkStored(inbound.accepted[index], stored)
    assert.ok(inbound.accepted.length >= (row.stored ?? []).length)
  })
}

function configurationAt(site: Site): Promise<Configuration> {
  return typeof site === 'string' ? fixtureConfiguration(site) : configurationOf(site.smtpd, site.pipeline.join('\n'))
}

async function connected(t: TestContext, site: Site, row: Talk, inbound: RestrictedInbound): Promise<SmtpClient> {
  const ports = await portsOf(site)
  const index = row.port === undefined ? 0 : ports.indexOf(row.port)
  const port = inbound.addresses[index]?.port
  assert.ok(port !== undefined, `no listener on port ${row.port}`)
  const implicitTls = row.tls === 'implicit'
  const client = await connectFrom(row.client ?? outside, { port, implicitTls, timeoutMs: 120_000 })
  t.after(() => client.destroy())
  const greeting = await client.reply()
  assert.ok(greeting.raw.startsWith(row.greeting ?? '220 '), greeting.raw)
  if (row.tls !== 'starttls') return client
  await hold(client, [['EHLO mail.ailleurs.example', '250']])
  await client.startTls()
  return client
}

/** As smtpd.conf has them; the listeners of a test take free ones. */
async function portsOf(site: Site): Promise<readonly number[]> {
  const text = typeof site === 'string' ? await readFile(fixturePath(`${site}.smtpd.conf`), 'utf8') : site.smtpd
  return [...text.matchAll(/^listen on \S+(?: port (\d+))?/gm)].map(([, port = '25']) => Number(port))
}

/** Throws where EHLO offers something else. */
export function checkOffer(raw: string, expected: readonly string[]): void {
  const offered = raw.split('\n').map((line) => line.slice(4))
  for (const entry of expected) {
    const absent = entry.startsWith('-')
    const word = absent ? entry.slice(1) : entry
    const found = offered.some((line) => line === word || line.startsWith(`${word} `))
    assert.equal(found, !absent, `${word} in\n${raw}`)
  }
}

function checkStored(accepted: RestrictedInbound['accepted'][number] | undefined, stored: Stored): void {
  assert.ok(accepted, 'a message is accepted')
  const { envelope, message } = accepted
  if (stored.from !== undefined) assert.equal(envelope.reversePath ?? '', stored.from)
  if (stored.to !== undefined)
    assert.deepEqual(
      envelope.recipients.map(({ mailbox }) => mailbox),
      stored.to,
    )
  if (stored.tags !== undefined) assert.deepEqual(envelope.tags, stored.tags)
  for (const pattern of stored.has ?? []) assert.match(message, pattern)
  for (const pattern of stored.lacks ?? []) assert.doesNotMatch(message, pattern)
}
