import { chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { freePorts } from './free-port.ts'
import { findPeer } from './peer.ts'
import { run, waitForPort } from './process.ts'
import { tempFolder } from './temp-folder.ts'

export interface PostfixOptions {
  /** Where accepted mail goes: `smtp:[127.0.0.1]:port` or `lmtp:inet:127.0.0.1:port`. */
  readonly transport: string
  /** More lines of main.cf; a parameter replaces the default of the same name here. */
  readonly parameters?: Readonly<Record<string, string>>
  /** More ports, each with its `-o` parameters of master.cf. */
  readonly doors?: readonly Readonly<Record<string, string>>[]
}

export interface Postfix {
  readonly port: number
  /** Of `doors`, in their order. */
  readonly doorPorts: readonly number[]
  readonly masterPid: number
  /** Below it lie queue, configuration and log. */
  readonly folder: string
  log(): Promise<string>
  stop(): Promise<void>
}

/** A complete Postfix of its own, beside any other: accepts from loopback for everybody and hands on to one next hop. */
export async function startPostfix(options: PostfixOptions): Promise<Postfix> {
  const folder = await tempFolder('postfix')
  const [port = 0, ...doorPorts] = await freePorts(1 + (options.doors?.length ?? 0))
  const config = join(folder.path, 'etc')
  await makeFolders(folder.path)
  await writeFile(join(config, 'main.cf'), mainCf(folder.path, options))
  await writeFile(join(config, 'master.cf'), masterCf(port, options.doors ?? [], doorPorts))
  const command = findPeer('postfix') ?? 'postfix'
  const started = await run(command, ['-c', config, 'start'], { timeoutMs: 120_000 })
  if (started.code !== 0) throw new Error(`postfix start: ${started.stderr || started.stdout}`)
  await waitForPort({ port })
  const masterPid = Number((await readFile(join(folder.path, 'queue/pid/master.pid'), 'utf8')).trim())
  return {
    port,
    doorPorts,
    masterPid,
    folder: folder.path,
    log: () => readFile(join(folder.path, 'maillog'), 'utf8'),
    stop: async () => {
      await run(command, ['-c', config, 'stop'], { timeoutMs: 120_000 })
      await folder.remove()
    },
  }
}

async function makeFolders(path: string): Promise<void> {
  for (const name of ['etc', 'queue', 'data']) await mkdir(join(path, name))
  const [uid, gid] = await idsOf('postfix')
  await chown(join(path, 'data'), uid, gid)
}

async function idsOf(user: string): Promise<readonly [number, number]> {
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((entry) => entry.startsWith(`${user}:`))
  const [, , uid, gid] = (line ?? '').split(':')
  if (uid === undefined || gid === undefined) throw new Error(`no user ${user}: apt-get install postfix`)
  return [Number(uid), Number(gid)]
}

/** From a map, because a parameter given twice makes postlogd warn about it to itself for ever. */
function mainCf(folder: string, options: PostfixOptions): string {
  const parameters = {
    compatibility_level: '3.6',
    myhostname: 'postfix.sluice.test',
    mydestination: '',
    mynetworks: '127.0.0.0/8',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    config_directory: join(folder, 'etc'),
    queue_directory: join(folder, 'queue'),
    data_directory: join(folder, 'data'),
    maillog_file: join(folder, 'maillog'),
    maillog_file_prefixes: folder,
    biff: 'no',
    default_transport: options.transport,
    relay_transport: options.transport,
    disable_dns_lookups: 'yes',
    smtp_tls_security_level: 'none',
    smtpd_tls_security_level: 'none',
    smtpd_client_connection_rate_limit: '0',
    default_process_limit: '100',
    message_size_limit: '104857600',
    mailbox_size_limit: '0',
    ...options.parameters,
  }
  return Object.entries(parameters)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')
}

/** Debian's services without chroot, on our ports. */
function masterCf(port: number, doors: NonNullable<PostfixOptions['doors']>, doorPorts: readonly number[]): string {
  const more = doors.map((parameters, index) => {
    const options = Object.entries(parameters).map(([name, value]) => `  -o ${name}=${value.replaceAll(' ', '')}\n`)
    return `127.0.0.1:${doorPorts[index]} inet n - n - - smtpd\n${options.join('')}`
  })
  return `127.0.0.1:${port} inet n - n - - smtpd
${more.join('')}pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`
}
