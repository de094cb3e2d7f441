import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { freePorts } from './free-port.ts'
import { findPeer } from './peer.ts'
import { startProcess, waitForPort } from './process.ts'
import { tempFolder } from './temp-folder.ts'

/** The test file every virus scanner knows, in two parts, so that no scanner takes this file for it. */
export const eicar = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('')

/** A line of a file `*.ndb` for clamd, by which it finds that in whatever it is packed. */
export const eicarSignature = `Eicar-Test-Body:0:*:${Buffer.from(eicar.slice(28, -5)).toString('hex')}\n`

export interface Clamd {
  readonly port: number
  readonly socket: string
  halt(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Debian's clamd from a folder of its own; its one signature finds the EICAR test file in whatever it is packed. */
export async function startClamd(options: { readonly streamMax?: string } = {}): Promise<Clamd> {
  const folder = await tempFolder('clamd')
  const [port = 0] = await freePorts(1)
  const at = (name: string) => join(folder.path, name)
  await mkdir(at('db'))
  await mkdir(at('tmp'))
  await writeFile(at('db/local.ndb'), eicarSignature)
  await writeFile(at('clamd.conf'), configuration(folder.path, port, options.streamMax ?? '25M'))
  const launch = () => startProcess(findPeer('clamd') ?? 'clamd', ['-c', at('clamd.conf')], { name: 'clamd' })
  let process = launch()
  await waitForPort({ port }, process)
  return {
    port,
    socket: at('clamd.ctl'),
    halt: async () => {
      await process.stop()
    },
    start: async () => {
      process = launch()
      await waitForPort({ port }, process)
    },
    stop: async () => {
      await process.stop()
      await folder.remove()
    },
  }
}

function configuration(folder: string, port: number, streamMax: string): string {
  return [
    `DatabaseDirectory ${folder}/db`,
    `TemporaryDirectory ${folder}/tmp`,
    `PidFile ${folder}/clamd.pid`,
    `LocalSocket ${folder}/clamd.ctl`,
    'TCPAddr 127.0.0.1',
    `TCPSocket ${port}`,
    'Foreground yes',
    ...(process.getuid?.() === 0 ? ['User root'] : []),
    'MaxThreads 4',
    `StreamMaxLength ${streamMax}`,
    'OfficialDatabaseOnly no',
    '',
  ].join('\n')
}
