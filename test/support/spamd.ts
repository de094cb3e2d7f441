import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { freePorts } from './free-port.ts'
import { findPeer } from './peer.ts'
import { startProcess, waitForPort } from './process.ts'
import { tempFolder } from './temp-folder.ts'

export interface Spamd {
  readonly port: number
  stop(): Promise<void>
}

/** Debian's spamd from a folder of its own, with Debian's rules and without the network. */
export async function startSpamd(): Promise<Spamd> {
  const folder = await tempFolder('spamd')
  const [port = 0] = await freePorts(1)
  const at = (name: string) => join(folder.path, name)
  await mkdir(at('home'))
  await chmod(at('home'), 0o777)
  const asNobody = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const spamd = startProcess(
    findPeer('spamd') ?? 'spamd',
    [
      '-L',
      '-s',
      'stderr',
      '-x',
      '-i',
      '127.0.0.1',
      '-p',
      String(port),
      '--cf=use_bayes 0',
      '-H',
      at('home'),
      ...asNobody,
    ],
    { name: 'spamd' },
  )
  await waitForPort({ port }, spamd)
  return {
    port,
    stop: async () => {
      await spamd.stop()
      await folder.remove()
    },
  }
}
