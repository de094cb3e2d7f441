import { generateKeyPair } from 'node:crypto'
import { mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { KeyType } from './public-key.ts'

/**
 * Makes a private key (RSA of 2048 bits when not told otherwise) and writes it to `file`, readable by its owner only, on
 * disk when this resolves. A file that is there already is left alone.
 * @throws NodeJS.ErrnoException `EEXIST` when there is one.
 * @returns the key in PEM.
 */
export async function generateKey(file: string, type: KeyType = 'rsa'): Promise<string> {
  const pem = await newKey(type)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(pem)
    await handle.sync()
  } catch (error) {
    await rm(file, { force: true })
    throw error
  } finally {
    await handle.close()
  }
  return pem
}

function newKey(type: KeyType): Promise<string> {
  const encoding = {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  } as const
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, _publicKey: string, pem: string): void => {
      if (error === null) resolve(pem)
      else reject(error)
    }
    if (type === 'rsa') generateKeyPair('rsa', { modulusLength: 2048, ...encoding }, done)
    else generateKeyPair('ed25519', encoding, done)
  })
}
