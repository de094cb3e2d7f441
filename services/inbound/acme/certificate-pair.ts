import { createPrivateKey, generateKeyPair, randomBytes } from 'node:crypto'
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

import type { AcmeSettings } from '../../../shared/config/model.ts'
import { putFile } from '../../../shared/start/put-file.ts'
import { selfSignedCertificate } from '../../../shared/start/self-signed.ts'

/**
 * Makes key and certificate, self-signed, where one of them is missing, so that listeners open before the first order. The key stays
 * for good: a renewal replaces one file at once, and no moment has a certificate beside a key of another.
 */
export async function ensurePair({ domains, certFile, keyFile }: AcmeSettings): Promise<void> {
  const known = await textIn(keyFile)
  if (known !== undefined && (await textIn(certFile)) !== undefined) return
  const name = domains[0] ?? 'localhost'
  const made = await selfSignedCertificate(name, known)
  // Several processes may start at a time: the key of the first is that of all.
  const first = known !== undefined || (await putFirst(keyFile, made.key))
  await putFile(certFile, first ? made.cert : (await selfSignedCertificate(name, await textIn(keyFile))).cert, 0o644)
}

export function installCertificate({ certFile }: AcmeSettings, pem: string): Promise<void> {
  return putFile(certFile, pem, 0o644)
}

/** The key the account is known by, beside that of the certificate; made when it is missing. */
export async function accountKey({ keyFile }: AcmeSettings): Promise<string> {
  const path = `${keyFile}.account`
  const known = await textIn(path)
  if (known !== undefined) return known
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  await putFile(path, pem, 0o600)
  return pem
}

/** @throws when the file cannot be read, or is no key */
export async function privateKeyIn(path: string) {
  return createPrivateKey(await readFile(path, 'utf8'))
}

async function textIn(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Unless there is one: false. */
async function putFirst(path: string, text: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  await writeFile(temporary, text, { mode: 0o600, flush: true })
  try {
    await link(temporary, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await unlink(temporary)
  }
}
