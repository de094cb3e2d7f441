import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { freePort } from './free-port.ts'
import { findPeer } from './peer.ts'
import { run, startProcess } from './process.ts'
import { tempFolder } from './temp-folder.ts'

export interface UnboundZone {
  /** Lines of a zone file below the SOA; names are relative to the zone. */
  readonly records: readonly string[]
  /** Its owner signs it, and the resolver knows that. */
  readonly signed: boolean
  /** What somebody made of the zone on its way. */
  readonly forge?: (zone: string) => string
}

export interface Unbound {
  /** `127.0.0.1:port`, as resolver settings take it. */
  readonly address: string
  stop(): Promise<void>
}

/**
 * A resolver that checks signatures: Debian's unbound, with zones that ldns has signed. It trusts the key of each signed zone, and asks
 * nobody else.
 */
export async function startUnbound(zones: Readonly<Record<string, UnboundZone>>): Promise<Unbound> {
  const folder = await tempFolder('unbound')
  const port = await freePort()
  const parts: string[] = []
  for (const [name, zone] of Object.entries(zones)) parts.push(await writeZone(folder.path, name, zone))
  const path = join(folder.path, 'unbound.conf')
  await writeFile(path, configuration(folder.path, port) + parts.join(''))
  const resolver = startProcess(findPeer('unbound') ?? 'unbound', ['-d', '-c', path], { name: 'unbound' })
  await resolver.waitForLine((line) => line.includes('start of service'), 120_000)
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => {
      await resolver.stop()
      await folder.remove()
    },
  }
}

/** @returns its part of unbound.conf */
async function writeZone(folder: string, name: string, zone: UnboundZone): Promise<string> {
  const file = join(folder, `${name}.zone`)
  const start = [`$ORIGIN ${name}.`, '$TTL 60', '@ SOA ns hostmaster 1 3600 600 86400 60', '@ NS ns', 'ns A 127.0.0.1']
  await writeFile(file, `${[...start, ...zone.records].join('\n')}\n`)
  const anchor = zone.signed ? await sign(folder, name, file) : ''
  const forge = zone.forge ?? ((text: string) => text)
  await writeFile(file, forge(await readFile(zone.signed ? `${file}.signed` : file, 'utf8')))
  return `${anchor}auth-zone:
  name: "${name}"
  zonefile: "${file}"
  for-downstream: no
  for-upstream: yes
`
}

async function sign(folder: string, name: string, file: string): Promise<string> {
  const made = await done('ldns-keygen', ['-a', 'ECDSAP256SHA256', '-k', name], folder)
  const key = join(folder, made.trim())
  await done('ldns-signzone', [file, key], folder)
  return `server:\n  trust-anchor-file: "${key}.key"\n`
}

async function done(command: 'ldns-keygen' | 'ldns-signzone', args: readonly string[], cwd: string): Promise<string> {
  const finished = await run(findPeer(command) ?? command, args, { cwd, timeoutMs: 120_000 })
  if (finished.code !== 0) throw new Error(`${command}: ${finished.stderr}${finished.stdout}`)
  return finished.stdout
}

/** `test.` would be an empty zone of its own otherwise (RFC 6761). */
function configuration(folder: string, port: number): string {
  return `server:
  interface: 127.0.0.1@${port}
  port: ${port}
  access-control: 127.0.0.0/8 allow
  directory: "${folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 1
  num-threads: 1
  do-ip6: no
  module-config: "validator iterator"
  local-zone: "test." nodefault
  root-hints: ""
remote-control:
  control-enable: no
`
}
