import { appendFile, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { root } from './fixtures.ts'
import { freePorts } from './free-port.ts'
import { Maildir } from './maildir.ts'
import { findPeer } from './peer.ts'
import { run, startProcess, waitForPort } from './process.ts'
import { tempFolder } from './temp-folder.ts'

export interface DovecotOptions {
  /** Mailboxes, `jane` or `jane@sluice.test`, each with its password. */
  readonly users: Readonly<Record<string, string>>
  /** Users whose mailbox takes nothing: LMTP answers 552 (`full`) or 452 (`fullTemporary`) at RCPT. */
  readonly full?: readonly string[]
  readonly fullTemporarily?: boolean
  /** Where it asks about tokens of OAuth 2 (RFC 7662): then it offers OAUTHBEARER and XOAUTH2, too. */
  readonly introspectUrl?: string
  /** deploy/dovecot is in use: what users move into Junk or out of it is told the dashboard at this URL. */
  readonly learning?: { readonly url: string; readonly token: string }
}

export interface Dovecot {
  readonly lmtpPort: number
  readonly lmtpSocket: string
  readonly imapPort: number
  /** Its quota-status, for `quota status`; DUNNO for who has room. */
  readonly quotaPort: number
  /** Its auth service, for `login dovecot`. */
  readonly authPort: number
  readonly authSocket: string
  maildir(user: string): Maildir
  log(): Promise<string>
  /** As `stop`, but leaves mail and configuration for `start`. */
  halt(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Debian's Dovecot from a folder of its own: LMTP and auth service by TCP and unix socket, IMAP, Maildirs. Root or not. */
export async function startDovecot(options: DovecotOptions): Promise<Dovecot> {
  const folder = await tempFolder('dovecot')
  const [lmtpPort = 0, imapPort = 0, authPort = 0, quotaPort = 0] = await freePorts(4)
  const owner = await ownerOfMail()
  const at = (name: string) => join(folder.path, name)
  await mkdir(at('mail'), { mode: 0o777 })
  await run('chmod', ['777', at('mail')])
  await writeFile(at('users'), passwdFile(options, owner, folder.path))
  await writeFile(
    at('dovecot.conf'),
    configuration(folder.path, { lmtpPort, imapPort, authPort, quotaPort }, owner, options),
  )
  if (options.learning !== undefined) await installLearning(folder.path, options.learning)
  if (options.introspectUrl !== undefined)
    await writeFile(
      at('oauth2'),
      `introspection_url = ${options.introspectUrl}\nintrospection_mode = post\nusername_attribute = username\nactive_attribute = active\nactive_value = true\n`,
    )
  const places = [
    { port: lmtpPort },
    { port: authPort },
    { port: quotaPort },
    { path: at('run/auth-client') },
    { path: at('run/lmtp') },
  ]
  const launched = async () => {
    const started = launch(at('dovecot.conf'))
    for (const place of places) await waitForPort(place, started)
    return started
  }
  let process = await launched()
  return {
    lmtpPort,
    imapPort,
    quotaPort,
    authPort,
    lmtpSocket: at('run/lmtp'),
    authSocket: at('run/auth-client'),
    maildir: (user) => new Maildir(join(folder.path, 'mail', user)),
    log: () => readFile(at('log'), 'utf8').catch(() => ''),
    halt: async () => {
      await process.stop(stopMs)
    },
    start: async () => {
      process = await launched()
    },
    stop: async () => {
      await process.stop(stopMs)
      await folder.remove()
    },
  }
}

/** As the comments of learn.conf tell, in a folder of its own. */
async function installLearning(folder: string, { url, token }: NonNullable<DovecotOptions['learning']>): Promise<void> {
  const [shipped, scripts] = [join(root, 'deploy/dovecot'), join(folder, 'sluice')]
  await mkdir(join(scripts, 'bin'), { recursive: true })
  for (const name of ['learn-spam.sieve', 'learn-ham.sieve']) await copyFile(join(shipped, name), join(scripts, name))
  await copyFile(join(shipped, 'sluice-learn'), join(scripts, 'bin/sluice-learn'))
  await writeFile(join(scripts, 'bin/learn.token'), `${token}\n`)
  const settings = `SLUICE_URL=${url}\nSLUICE_TOKEN_FILE=${scripts}/bin/learn.token\n`
  await writeFile(join(scripts, 'bin/sluice-learn.env'), settings)
  const snippet = await readFile(join(shipped, 'learn.conf'), 'utf8')
  await appendFile(join(folder, 'dovecot.conf'), snippet.replaceAll('/etc/dovecot/sluice', scripts))
  // Compiled by who may write there: the mail user may not.
  for (const name of ['learn-spam', 'learn-ham']) {
    const { code, stderr } = await run('sievec', ['-c', join(folder, 'dovecot.conf'), join(scripts, `${name}.sieve`)])
    if (code !== 0) throw new Error(`sievec ${name}: ${stderr}`)
  }
}

/** It waits for the clients of its auth service, 30 s at most; killed, it would leave processes that hold its ports. */
const stopMs = 60_000

function launch(configurationFile: string) {
  return startProcess(findPeer('dovecot') ?? 'dovecot', ['-F', '-c', configurationFile], { name: 'dovecot' })
}

interface Owner {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly group: string
}

/** Root delivers as `nobody`; anybody else as himself. */
async function ownerOfMail(): Promise<Owner> {
  const isRoot = process.getuid?.() === 0
  const id = async (flag: string) =>
    (await run('id', isRoot ? [flag, 'nobody'] : [flag])).stdout.trim().replace(/\s.*$/, '')
  const [uid, gid, name, group] = [
    await id('-u'),
    await id('-g'),
    (await run('id', isRoot ? ['-un', 'nobody'] : ['-un'])).stdout.trim(),
    (await run('id', isRoot ? ['-gn', 'nobody'] : ['-gn'])).stdout.trim(),
  ]
  return { uid: Number(uid), gid: Number(gid), name, group }
}

function passwdFile(options: DovecotOptions, owner: Owner, folder: string): string {
  return Object.entries(options.users)
    .map(([user, password]) => {
      const full = options.full?.includes(user) === true ? ' userdb_quota_rule=*:messages=1:bytes=1' : ''
      return `${user}:{PLAIN}${password}:${owner.uid}:${owner.gid}::${folder}/mail/${user}::${full}\n`
    })
    .join('')
}

function configuration(
  folder: string,
  { lmtpPort, imapPort, authPort, quotaPort }: Pick<Dovecot, 'lmtpPort' | 'imapPort' | 'authPort' | 'quotaPort'>,
  owner: Owner,
  options: DovecotOptions,
): string {
  const isRoot = process.getuid?.() === 0
  const unprivileged = isRoot ? '' : `default_internal_user = ${owner.name}\ndefault_login_user = ${owner.name}\n`
  const chroot = isRoot ? '' : '  chroot =\n'
  const tokens =
    options.introspectUrl === undefined
      ? ''
      : `passdb {\n  driver = oauth2\n  mechanisms = oauthbearer xoauth2\n  args = ${folder}/oauth2\n}\n`
  return `base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/log
listen = 127.0.0.1
protocols = imap lmtp
${unprivileged}default_internal_group = ${isRoot ? 'dovecot' : owner.group}
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login scram-sha-256${options.introspectUrl === undefined ? '' : ' oauthbearer xoauth2'}
auth_failure_delay = 0
first_valid_uid = 0
last_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:%h
mail_plugins = quota
recipient_delimiter = +
hostname = dovecot.sluice.test
postmaster_address = postmaster@sluice.test
lmtp_rcpt_check_quota = yes
quota_full_tempfail = ${options.fullTemporarily === true ? 'yes' : 'no'}
lda_mailbox_autocreate = yes
${tokens}passdb {
  driver = passwd-file
  args = ${folder}/users
}
userdb {
  driver = passwd-file
  args = ${folder}/users
}
plugin {
  quota = maildir:User quota
  quota_status_success = DUNNO
}
service anvil {
${chroot}  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
${chroot}}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${lmtpPort}
  }
  unix_listener lmtp {
    mode = 0666
  }
}
service auth {
  inet_listener auth-client {
    address = 127.0.0.1
    port = ${authPort}
  }
  unix_listener auth-client {
    mode = 0666
  }
}
service quota-status {
  executable = quota-status -p postfix
  client_limit = 1
${chroot}  inet_listener {
    address = 127.0.0.1
    port = ${quotaPort}
  }
}
service imap-login {
${chroot}  inet_listener imap {
    port = ${imapPort}
  }
  inet_listener imaps {
    port = 0
  }
}
protocol imap {
  mail_plugins = quota
}
protocol lmtp {
  mail_plugins = quota
}
`
}
