import assert from 'node:assert/strict'
import { isIPv4 } from 'node:net'
import { fileURLToPath } from 'node:url'

import { SmtpClient } from '../../../test/support/smtp-client.ts'
import type { ClientOptions } from '../../../test/support/smtp-client.ts'
import { loadConfiguration } from '../../../shared/config/load.ts'
import type { Configuration } from '../../../shared/config/model.ts'
import { openTables } from '../../../shared/config/tables.ts'
import { zoneResolver } from '../../../shared/restrictions/testing.ts'
import type { Zone } from '../../../shared/restrictions/testing.ts'
import { recipientResolver } from '../recipient-resolver.ts'
import { startInbound } from '../testing.ts'
import type { TestInbound, TestInboundOptions } from '../testing.ts'

/** A configuration of test/fixtures/seeds whose listeners take free ports and believe the PROXY header of this host. */
export function fixtureConfiguration(name: string): Promise<Configuration> {
  return configurationFrom(fixturePath(`${name}.smtpd.conf`), fixturePath(`${name}.pipeline.conf`))
}

/** The same of two texts. */
export function configurationOf(smtpdConf: string, pipelineConf: string): Promise<Configuration> {
  const [policy, pipeline] = [fixturePath('smtpd.conf'), fixturePath('pipeline.conf')]
  const texts = new Map([
    [policy, smtpdConf],
    [pipeline, pipelineConf],
  ])
  return configurationFrom(policy, pipeline, texts)
}

async function configurationFrom(
  smtpdConf: string,
  pipelineConf: string,
  texts: ReadonlyMap<string, string> = new Map(),
): Promise<Configuration> {
  const { configuration } = await loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mx.sluice.test', texts })
  const listeners = configuration.listeners.map((listener) => ({ ...listener, port: 0, proxy: true }))
  return { ...configuration, listeners, pipeline: { ...configuration.pipeline, trustedProxies: ['127.0.0.1'] } }
}

export function fixturePath(file: string): string {
  return fileURLToPath(new URL(`../../../test/fixtures/seeds/${file}`, import.meta.url))
}

export interface RestrictedInbound extends TestInbound {
  /** Milliseconds it would have slept. */
  readonly slept: readonly number[]
}

/** Inbound with the real rules behind it; it never really sleeps. */
export async function startRestricted(
  configuration: Configuration,
  zone: Zone,
  options: Pick<TestInboundOptions, 'greylist'> = {},
): Promise<RestrictedInbound> {
  const slept: number[] = []
  const inbound = await startInbound({
    ...options,
    configuration,
    resolveRecipient: recipientResolver(configuration, openTables()),
    resolver: zoneResolver(zone),
    sleep(ms) {
      slept.push(ms)
      return Promise.resolve()
    },
  })
  return { ...inbound, slept }
}

/** Connected as if from that address. */
export function connectFrom(address: string, options: ClientOptions): Promise<SmtpClient> {
  return SmtpClient.connect({ ...options, preamble: proxyHeader(address) })
}

/** What the client says, and how each reply to it must begin. */
export type Dialogue = readonly (readonly string[])[]

export async function hold(client: SmtpClient, dialogue: Dialogue): Promise<void> {
  for (const [line = '', ...expected] of dialogue) {
    client.write(`${line}\r\n`)
    for (const beginning of expected) {
      const { raw } = await client.reply()
      assert.ok(raw.startsWith(beginning), `${line}\n  expected ${beginning}\n  got      ${raw}`)
    }
  }
}

/** A PROXY header, version 2; an IPv6 address has at most one `::`, in its middle. */
function proxyHeader(address: string): Buffer {
  const source = octetsOf(address)
  const destination = Buffer.alloc(source.length, 1)
  const family = source.length === 4 ? 0x11 : 0x21
  const ports = [0xd4, 0x31, 0, 25]
  const length = source.length * 2 + ports.length
  const start = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
  return Buffer.concat([start, Buffer.from([0x21, family, 0, length]), source, destination, Buffer.from(ports)])
}

function octetsOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail = ''] = address.split('::')
  const hex = (groups: string): string =>
    groups
      .split(':')
      .map((group) => group.padStart(4, '0'))
      .join('')
  const [left, right] = [hex(head), hex(tail)]
  return Buffer.from(left + '0'.repeat(32 - left.length - right.length) + right, 'hex')
}
