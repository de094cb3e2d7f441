import { fileURLToPath } from 'node:url'

import { SmtpClient } from '../../../test/support/smtp-client.ts'
import type { ClientOptions } from '../../../test/support/smtp-client.ts'
import { loadConfiguration } from '../../../shared/config/load.ts'
import type { Configuration } from '../../../shared/config/model.ts'
import { openTables } from '../../../shared/config/tables.ts'
import type { LookUp, MxRecord, Resolver } from '../../../shared/resolver.ts'
import { recipientResolver } from '../recipient-resolver.ts'
import { startInbound } from '../testing.ts'
import type { TestInbound } from '../testing.ts'

/** A configuration of test/fixtures/restrictions whose listeners take free ports and believe the PROXY header of this host. */
export async function fixtureConfiguration(name: string, texts?: ReadonlyMap<string, string>): Promise<Configuration> {
  const { configuration } = await loadConfiguration({
    smtpdConf: fixturePath(`${name}.smtpd.conf`),
    pipelineConf: fixturePath(`${name}.pipeline.conf`),
    hostname: 'mx.sluice.test',
    ...(texts === undefined ? {} : { texts }),
  })
  const listeners = configuration.listeners.map((listener) => ({ ...listener, port: 0, proxy: true }))
  return { ...configuration, listeners, pipeline: { ...configuration.pipeline, trustedProxies: ['127.0.0.1'] } }
}

export function fixturePath(file: string): string {
  return fileURLToPath(new URL(`../../../test/fixtures/restrictions/${file}`, import.meta.url))
}

/** Inbound with the real rules behind it; it never really sleeps. */
export async function startRestricted(
  configuration: Configuration,
  zone: Zone,
): Promise<TestInbound & { readonly slept: readonly number[] }> {
  const slept: number[] = []
  const inbound = await startInbound({
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

/** A PROXY header, version 2, from an IPv4 address. */
function proxyHeader(address: string): Buffer {
  const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
  const addresses = [...address.split('.').map(Number), 10, 0, 0, 1]
  return Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, 12, ...addresses, 0xd4, 0x31, 0, 25])])
}

/** Records by `a NAME`, `mx NAME`, `txt NAME`, `ptr ADDRESS`; `fails`: nobody knows. A name without records does not exist. */
export type Zone = Readonly<Record<string, readonly string[] | 'fails'>>

/** An MX record is written as its exchange. */
export function zoneResolver(zone: Zone): Resolver {
  const known = new Set(Object.keys(zone).map((key) => key.split(' ')[1]))
  function ask<T>(type: string, name: string, read: (text: string) => T): Promise<LookUp<T>> {
    const records = zone[`${type} ${name}`]
    if (records === 'fails') return Promise.resolve({ kind: 'failed', error: new Error('SERVFAIL') })
    if (records === undefined) return Promise.resolve({ kind: 'absent', name: !known.has(name) })
    return Promise.resolve({ kind: 'found', records: records.map((record) => read(record)) })
  }
  const text = (record: string): string => record
  return {
    mx: (name) => ask<MxRecord>('mx', name, (exchange) => ({ exchange, priority: 10 })),
    a: (name) => ask('a', name, text),
    aaaa: (name) => ask('aaaa', name, text),
    txt: (name) => ask('txt', name, text),
    ptr: (address) => ask('ptr', address, text),
    close: () => undefined,
  }
}
