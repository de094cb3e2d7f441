import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { makeToken } from '../config/api-tokens.ts'
import { hashPassword } from '../crypt/hash-password.ts'
import { dmarcLine, mxLine, spfLine } from '../doctor/zone-lines.ts'
import { dkimRecord } from '../dkim/dns-record.ts'
import { generateKey } from '../dkim/generate-key.ts'
import { mailboxLine } from './mailboxes.ts'
import { newPassword } from './new-password.ts'
import { isMissing, putFile } from './put-file.ts'
import { selfSignedCertificate } from './self-signed.ts'

/** The site that containers serve. Names in lower case and A-labels. */
export interface Site {
  readonly hostname: string
  readonly domain: string
}

export interface SiteIdentity {
  /** What was made now, a line each; what was there stays as it is. */
  readonly made: readonly string[]
  /** Those that nobody finds written down. */
  readonly passwords: readonly NewPassword[]
  /** Lines for the domain's zone file. */
  readonly records: readonly string[]
}

export interface NewPassword {
  readonly account: string
  readonly password: string
}

/** Where passwords come from, and where they go. */
export interface PasswordPolicy {
  /** Those that were chosen: of the operator `admin`, of the first mailbox, of Redis. Others are random. */
  readonly chosen?: { readonly admin?: string; readonly mailbox?: string; readonly redis?: string }
  /** Somebody reads what is returned: random passwords are written nowhere. Else they go to files under `passwords/`. */
  readonly told: boolean
}

const selector = 'sluice'

/**
 * Makes what a site needs beside its configuration, in one folder that all containers read: certificate and key (`tls/`), a DKIM key (`dkim/`), the
 * first mailbox and the first operator of the dashboard, the password of Redis (`redis/`), and the token with which Dovecot reports what users move into Junk
 * and out of it (`dovecot/`).
 */
export async function prepareSiteIdentity(
  folder: string,
  { hostname, domain }: Site,
  { chosen = {}, told }: PasswordPolicy = { told: false },
): Promise<SiteIdentity> {
  const made: string[] = []
  const passwords: NewPassword[] = []
  const account = async (name: string, what: string, password: string | undefined): Promise<string> => {
    const secret = password ?? newPassword()
    if (password !== undefined) made.push(`${what}, with the password that was chosen`)
    else if (told) {
      passwords.push({ account: name, password: secret })
      made.push(what)
    } else {
      await putFile(at('passwords', name), `${secret}\n`, 0o600)
      made.push(`${what}, password in ${at('passwords', name)}`)
    }
    return hashPassword(secret, 'sha512')
  }
  const at = (...names: readonly string[]): string => join(folder, ...names)
  const dkimKey = at('dkim', `${selector}.key`)
  if (await isMissing(at('tls', 'key.pem'))) {
    const pair = await selfSignedCertificate(hostname)
    // The key last: it is what tells that there is a pair.
    await putFile(at('tls', 'cert.pem'), pair.cert, 0o644)
    await putFile(at('tls', 'key.pem'), pair.key, 0o600)
    made.push(`self-signed certificate for ${hostname}: ${at('tls', 'cert.pem')}`)
  }
  if (await isMissing(dkimKey)) {
    await generateKey(dkimKey)
    made.push(`DKIM key: ${dkimKey}`)
  }
  if (await isMissing(at('redis', 'auth.conf'))) {
    const password = chosen.redis ?? newPassword()
    await putFile(at('redis', 'password'), `${password}\n`, 0o600)
    // Redis reads it as a user of its own; nobody else has this folder.
    await putFile(at('redis', 'auth.conf'), `requirepass ${password}\n`, 0o644)
    made.push('password of Redis')
  }
  if (await isMissing(at('mailboxes'))) {
    const mailbox = `postmaster@${domain}`
    const hash = await account(mailbox, `mailbox ${mailbox}`, chosen.mailbox)
    await putFile(at('mailboxes'), mailboxLine(mailbox, hash), 0o644)
  }
  if (await isMissing(at('operators'))) {
    const hash = await account('admin', 'operator "admin" of the dashboard', chosen.admin)
    await putFile(at('operators'), `admin admin:${hash}\n`, 0o600)
  }
  if (await isMissing(at('tokens'))) {
    const { token, entry } = makeToken('dovecot', ['learn'])
    // Read by whoever a message is filed for; nobody else has this folder.
    await putFile(at('dovecot', 'learn-token'), `${token}\n`, 0o644)
    await putFile(at('tokens'), `dovecot ${entry}\n`, 0o600)
    made.push('token with which Dovecot teaches the classifier')
  }
  return { made, passwords, records: await recordsOf({ hostname, domain }, await readFile(dkimKey, 'utf8')) }
}

async function recordsOf({ hostname, domain }: Site, dkimKey: string): Promise<readonly string[]> {
  return [
    `${hostname}. IN A ADDRESS`,
    mxLine(domain, hostname),
    spfLine(domain, hostname),
    dkimRecord(dkimKey, selector, domain).zoneLine,
    dmarcLine(domain),
  ]
}
