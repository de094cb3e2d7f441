import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import type { Configuration } from '../config/model.ts'

/** SHA-256 of the public keys (SubjectPublicKeyInfo) of the certificates that strangers are shown, hex, each once; what cannot be read is left out. */
export async function certificateKeys({ listeners, pkis }: Configuration): Promise<readonly string[]> {
  const forStrangers = listeners.filter(({ auth, tls }) => auth.kind !== 'required' && tls !== 'none')
  const names = new Set(forStrangers.flatMap((listener) => listener.pkis))
  const files = [...names].flatMap((name) => pkis.get(name)?.cert ?? [])
  const keys = await Promise.all(files.map((file) => keyOf(file).catch(() => undefined)))
  return [...new Set(keys.filter((key) => key !== undefined))]
}

async function keyOf(file: string): Promise<string> {
  const { publicKey } = new X509Certificate(await readFile(file))
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}
