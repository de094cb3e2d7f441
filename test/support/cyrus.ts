import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { Server } from 'node:net'
import { join } from 'node:path'

import { freePorts } from './free-port.ts'
import { run, startProcess, waitForPort } from './process.ts'
import { tempFolder } from './temp-folder.ts'

const folderOfAll = process.env['SLUICE_FILTERS'] ?? '/nonexistent'
const programs = join(folderOfAll, 'usr/lib/cyrus/bin')
const libraries = ['usr/lib/x86_64-linux-gnu', 'usr/lib', 'lib/x86_64-linux-gnu'].map((name) => join(folderOfAll, name))

const environment = { LD_LIBRARY_PATH: libraries.join(':') }

/** For the `skip` option of a test. Debian's package cannot be installed beside Dovecot: it is unpacked. */
export function missingCyrus(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  return existsSync(join(programs, 'lmtpd'))
    ? false
    : 'SLUICE_FILTERS names no folder with the unpacked packages cyrus-imapd, cyrus-common and their libraries'
}

export interface CyrusOptions {
  /** Mailboxes, each with its quota in KiB, or none. */
  readonly users: Readonly<Record<string, number | undefined>>
}

export interface StoredMail {
  readonly text: string
  /** Mails of one transaction are one file under several names. */
  readonly inode: number
}

export interface Cyrus {
  /** Trusts its clients, as the socket does. */
  readonly lmtpPort: number
  readonly lmtpSocket: string
  mails(user: string): Promise<readonly StoredMail[]>
  /** As `stop`, but leaves mail and configuration for `start`. */
  halt(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Debian's Cyrus IMAP from a folder of its own, as `nobody`: LMTP by TCP and unix socket. */
export async function startCyrus({ users }: CyrusOptions): Promise<Cyrus> {
  const folder = await tempFolder('cyrus')
  const at = (name: string): string => join(folder.path, name)
  const [lmtpPort = 0, imapPort = 0] = await freePorts(2)
  for (const name of ['config', 'config/db', 'config/socket', 'config/proc', 'config/log', 'spool', 'sasl'])
    await mkdir(at(name))
  await writeFile(at('imapd.conf'), settings(folder.path))
  await writeFile(at('cyrus.conf'), services(folder.path, lmtpPort, imapPort))
  await run('chown', ['-R', 'nobody:nogroup', folder.path])
  const passwords = await believeEverybody(at('sasl/mux'))
  const launched = async () => {
    const args = ['-C', at('imapd.conf'), '-M', at('cyrus.conf'), '-D', '-p', at('master.pid')]
    const started = startProcess(join(programs, 'master'), args, { name: 'cyrus', env: environment })
    for (const place of [{ port: lmtpPort }, { port: imapPort }, { path: at('lmtp') }])
      await waitForPort(place, started)
    return started
  }
  let process = await launched()
  const stop = async (): Promise<void> => {
    await process.stop(60_000)
    await new Promise((resolve) => passwords.close(resolve))
    await folder.remove()
  }
  try {
    await makeMailboxes(imapPort, users)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    lmtpPort,
    lmtpSocket: at('lmtp'),
    mails: async (user) => mailsIn(await folderOf(user, at('imapd.conf'))),
    halt: async () => {
      await process.stop(60_000)
    },
    start: async () => {
      process = await launched()
    },
    stop,
  }
}

function settings(folder: string): string {
  return `configdirectory: ${folder}/config
partition-default: ${folder}/spool
defaultpartition: default
admins: cyrus
cyrus_user: nobody
unixhierarchysep: yes
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: ${folder}/sasl/mux
sasl_mech_list: PLAIN
allowplaintext: yes
lmtp_strict_quota: yes
lmtpsocket: ${folder}/lmtp
idlesocket: ${folder}/idle
notifysocket: ${folder}/notify
`
}

function services(folder: string, lmtpPort: number, imapPort: number): string {
  const command = (program: string, more = '') => `cmd="${programs}/${program} -C ${folder}/imapd.conf${more}"`
  return `START {
  recover ${command('ctl_cyrusdb', ' -r')}
}
SERVICES {
  imap ${command('imapd')} listen="127.0.0.1:${imapPort}" prefork=0
  lmtp ${command('lmtpd', ' -a')} listen="127.0.0.1:${lmtpPort}" prefork=0
  lmtpunix ${command('lmtpd')} listen="${folder}/lmtp" prefork=0
}
EVENTS {
}
`
}

/** Stands in for saslauthd, which knows the passwords: four counted words come, and `OK` goes back. */
async function believeEverybody(path: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end(Buffer.from('\0\x02OK')))
  })
  server.listen(path)
  await once(server, 'listening')
  await run('chmod', ['777', path])
  return server
}

/** As the administrator, by IMAP (RFC 3501, RFC 9208). */
async function makeMailboxes(port: number, users: CyrusOptions['users']): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.setEncoding('utf8')
  let said = ''
  let tag = 0
  const command = async (text: string): Promise<void> => {
    const mine = `a${++tag}`
    socket.write(`${mine} ${text}\r\n`)
    for (;;) {
      const [, result = '', words = ''] = new RegExp(`^${mine} (OK|NO|BAD) (.*)$`, 'm').exec(said) ?? []
      if (result === 'OK') return
      if (result !== '' || socket.readableEnded) throw new Error(`${text}: ${result} ${words}`)
      said += String(await once(socket, 'data'))
    }
  }
  try {
    await command(`AUTHENTICATE PLAIN ${Buffer.from('\0cyrus\0secret').toString('base64')}`)
    for (const [user, quotaKib] of Object.entries(users)) {
      await command(`CREATE user/${user}`)
      if (quotaKib !== undefined) await command(`SETQUOTA user/${user} (STORAGE ${quotaKib})`)
    }
    await command('LOGOUT')
  } finally {
    socket.destroy()
  }
}

/** Cyrus names its folders as it likes. */
async function folderOf(user: string, settingsFile: string): Promise<string> {
  const found = await run(join(programs, 'mbpath'), ['-C', settingsFile, `user/${user}`], { env: environment })
  if (found.code !== 0) throw new Error(`mbpath ${user}: ${found.stdout}${found.stderr}`)
  return found.stdout.trim()
}

async function mailsIn(folder: string): Promise<readonly StoredMail[]> {
  const names = (await readdir(folder)).filter((name) => /^\d+\.$/.test(name))
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      return { text: await readFile(path, 'utf8'), inode: (await stat(path)).ino }
    }),
  )
}
