import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'

import { hashPassword } from '../crypt/hash-password.ts'
import { generateKey } from '../dkim/generate-key.ts'
import { isMissing, putFile } from './put-file.ts'
import { selfSignedCertificate } from './self-signed.ts'

/** What a newcomer's machine needs beside the configuration that ships with Sluice; kept in the data folder. */
export interface LocalIdentity {
  /** Macros for deploy/local/smtpd.conf. */
  readonly definitions: Readonly<Record<string, string>>
  /** The first account, `jane`, and the file with its password (made at random, 0600). */
  readonly user: string
  readonly passwordFile: string
  /** What was made now, for the start message. */
  readonly made: readonly string[]
}

const user = 'jane'

/** Makes what is missing: a self-signed certificate, a DKIM key, one account. What is there stays as it is. */
export async function prepareLocalIdentity(dataFolder: string): Promise<LocalIdentity> {
  const made: string[] = []
  const cert = join(dataFolder, 'tls', 'cert.pem')
  const key = join(dataFolder, 'tls', 'key.pem')
  const dkimKey = join(dataFolder, 'dkim', 'sluice.key')
  const accounts = join(dataFolder, 'accounts')
  const passwordFile = join(dataFolder, 'jane.password')
  const note = (text: string): void => void made.push(text)

  if (await isMissing(key)) {
    const pair = await selfSignedCertificate(hostname())
    // The key last: it is what tells that there is a pair.
    await putFile(cert, pair.cert, 0o644)
    await putFile(key, pair.key, 0o600)
    note(`self-signed certificate ${cert}`)
  }
  if (await isMissing(dkimKey)) {
    await generateKey(dkimKey)
    note(`DKIM key ${dkimKey}`)
  }
  if (await isMissing(accounts)) {
    const password = randomBytes(12).toString('base64url')
    await putFile(passwordFile, `${password}\n`, 0o600)
    await putFile(
      accounts,
      `# user hash   (npm run ctl -- encrypt)\n${user} ${await hashPassword(password, 'sha512')}\n`,
      0o600,
    )
    note(`account ${user}, password in ${passwordFile}`)
  }
  return {
    definitions: {
      tls_cert: quote(cert),
      tls_key: quote(key),
      dkim_key: quote(dkimKey),
      accounts: quote(accounts),
      maildir: quote(join(dataFolder, 'mail', '%{user.username}')),
    },
    user,
    passwordFile,
    made,
  }
}

function quote(text: string): string {
  return `"${text.replaceAll('"', '\\"')}"`
}
