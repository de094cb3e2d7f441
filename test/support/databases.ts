import { chmod, copyFile, mkdir, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { fixture } from './fixtures.ts'
import { freePorts } from './free-port.ts'
import { findPeer } from './peer.ts'
import { run, startProcess, waitForPort } from './process.ts'
import type { RunningProcess } from './process.ts'
import { tempFolder } from './temp-folder.ts'

/** A real server of a test's own on 127.0.0.1, which shows the certificate of `localhost`. */
export interface DatabaseServer {
  readonly port: number
  /** Ends it; what it holds stays for `start`. */
  halt(): Promise<void>
  start(): Promise<void>
  /** Ends it and removes what it holds. */
  stop(): Promise<void>
}

/** Of the certificate that every one of these servers has. */
export const databaseCa = fixture('tls/ca.pem')

interface Home {
  readonly path: string
  readonly at: (name: string) => string
  readonly certificate: string
  readonly key: string
  /** Runs a program as the user that the server has to be: those that refuse to be root. */
  readonly as: (program: string, args: readonly string[]) => readonly [string, readonly string[]]
  readonly remove: () => Promise<void>
}

/** PostgreSQL would wait for its clients at SIGTERM. */
const stopSignal = 'SIGINT'

/** A folder that belongs to `user`, with a certificate and its key. */
async function homeOf(name: string, user: string): Promise<Home> {
  const folder = await tempFolder(name)
  const at = (file: string): string => join(folder.path, file)
  const [certificate, key] = [at('server.pem'), at('server.key')]
  await copyFile(fixture('tls/server.pem'), certificate)
  await copyFile(fixture('tls/server.key'), key)
  await chmod(key, 0o600)
  const isRoot = process.getuid?.() === 0
  await chmod(folder.path, 0o755)
  if (isRoot) await done('chown', ['-R', user, folder.path])
  const as = (program: string, args: readonly string[]): readonly [string, readonly string[]] =>
    isRoot ? ['setpriv', ['--reuid', user, '--regid', user, '--init-groups', program, ...args]] : [program, args]
  return { path: folder.path, at, certificate, key, as, remove: () => folder.remove() }
}

async function done(program: string, args: readonly string[], input = ''): Promise<void> {
  const { code, stdout, stderr } = await run(program, args, { input })
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`)
}

/** Runs what `launch` starts, until it is halted. @param fill what is to be done at its first start; @param answers whether it serves, behind its open port */
async function serve(
  home: Home,
  port: number,
  launch: () => RunningProcess,
  fill?: () => Promise<void>,
  answers: () => Promise<boolean> = async () => true,
): Promise<DatabaseServer> {
  let server: RunningProcess | undefined
  async function start(): Promise<void> {
    server = launch()
    await waitForPort({ port }, server)
    while (server.exit === undefined && !(await answers())) await pause(50)
  }
  async function halt(): Promise<void> {
    server?.kill(stopSignal)
    await server?.stop(60_000)
  }
  async function stop(): Promise<void> {
    await halt()
    await home.remove()
  }
  try {
    await start()
    await fill?.()
  } catch (error) {
    await stop()
    throw error
  }
  return { port, start, halt, stop }
}

/** PostgreSQL: TLS or nothing for who comes by TCP; user `mail`, password `secret`, database `mail`. */
export async function startPostgresServer(statements: string): Promise<DatabaseServer> {
  const home = await homeOf('postgres', 'postgres')
  const [port = 0] = await freePorts(1)
  const programs = (await realpath(findPeer('pg_ctl') ?? '')).replace(/pg_ctl$/, '')
  const data = home.at('data')
  const begin = home.as(`${programs}initdb`, [
    '-D',
    data,
    '-U',
    'owner',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '-N',
  ])
  await done(...begin)
  await writeFile(
    `${data}/pg_hba.conf`,
    'local all owner trust\nhostssl mail mail 127.0.0.1/32 scram-sha-256\nhostnossl all all 127.0.0.1/32 reject\n',
  )
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: home.path,
    ssl: 'on',
    ssl_cert_file: home.certificate,
    ssl_key_file: home.key,
    fsync: 'off',
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const ask = ['-X', '-q', '-h', home.path, '-p', String(port), '-U', 'owner', '-v', 'ON_ERROR_STOP=1', '-d']
  return serve(
    home,
    port,
    () => startProcess(...home.as(`${programs}postgres`, ['-D', data, ...options]), { name: 'postgres' }),
    async () => {
      const account = `CREATE USER mail PASSWORD 'secret';\nCREATE DATABASE mail;\n`
      await done(`${programs}psql`, [...ask, 'postgres'], account)
      const grant = 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO mail;'
      await done(`${programs}psql`, [...ask, 'mail'], `${statements}\n${grant}\n`)
    },
    // It listens while it still starts up, and refuses.
    async () => (await run(`${programs}pg_isready`, ['-q', '-h', home.path, '-p', String(port)])).code === 0,
  )
}

/** MariaDB: user `mail`, password `secret`, who must come by TLS; database `mail`. */
export async function startMariadbServer(statements: string): Promise<DatabaseServer> {
  const home = await homeOf('mariadb', 'mysql')
  const [port = 0] = await freePorts(1)
  const where = ['--no-defaults', `--datadir=${home.at('data')}`]
  await done(...home.as('mariadb-install-db', [...where, '--auth-root-authentication-method=normal', '--skip-test-db']))
  const options = [
    ...where,
    '--bind-address=127.0.0.1',
    `--port=${port}`,
    `--socket=${home.at('socket')}`,
    `--pid-file=${home.at('pid')}`,
    `--ssl-cert=${home.certificate}`,
    `--ssl-key=${home.key}`,
    '--innodb-flush-log-at-trx-commit=0',
  ]
  const account = `CREATE USER mail@'%' IDENTIFIED BY 'secret' REQUIRE SSL;\nGRANT SELECT ON mail.* TO mail@'%';\n`
  const begin = `CREATE DATABASE mail;\nUSE mail;\n${statements}\n${account}`
  return serve(
    home,
    port,
    () => startProcess(...home.as(findPeer('mariadbd') ?? 'mariadbd', options), { name: 'mariadbd' }),
    () => done('mariadb', ['--no-defaults', `--socket=${home.at('socket')}`, '-u', 'root'], begin),
  )
}

/** OpenLDAP's slapd with `dc=test`, which answers nobody without TLS; `cn=reader,dc=test`, password `secret`, may read. */
export async function startDirectoryServer(entries: string): Promise<DatabaseServer> {
  const home = await homeOf('slapd', 'openldap')
  const [port = 0] = await freePorts(1)
  await mkdir(home.at('db'))
  await writeFile(
    home.at('slapd.conf'),
    `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile ${home.at('pid')}
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile ${home.certificate}
TLSCertificateKeyFile ${home.key}
security tls=1
database mdb
suffix "dc=test"
rootdn "cn=reader,dc=test"
rootpw secret
directory ${home.at('db')}
access to * by users read by anonymous auth
`,
  )
  await writeFile(home.at('entries.ldif'), `dn: dc=test\nobjectClass: domain\ndc: test\n\n${entries}`)
  if (process.getuid?.() === 0) await done('chown', ['-R', 'openldap', home.path])
  const slapd = findPeer('slapd') ?? 'slapd'
  const add = ['-T', 'add', '-f', home.at('slapd.conf'), '-l', home.at('entries.ldif')]
  await done(...home.as(slapd, add))
  const listen = ['-d', '0', '-f', home.at('slapd.conf'), '-h', `ldap://127.0.0.1:${port}`]
  return serve(home, port, () => startProcess(...home.as(slapd, listen), { name: 'slapd' }))
}

/** A Redis that is reached by TLS only; `words` are its first commands, one in a line. */
export async function startRedisTlsServer(words: readonly (readonly string[])[]): Promise<DatabaseServer> {
  const home = await homeOf('redis-tls', 'root')
  const [port = 0] = await freePorts(1)
  const options = ['--port', '0', '--tls-port', String(port), '--bind', '127.0.0.1', '--dir', home.path, '--save', '']
  const tls = ['--tls-cert-file', home.certificate, '--tls-key-file', home.key, '--tls-auth-clients', 'no']
  const keep = ['--appendonly', 'yes', '--unixsocket', home.at('socket')]
  const program = findPeer('redis-server') ?? 'redis-server'
  return serve(
    home,
    port,
    () => startProcess(program, [...options, ...tls, ...keep], { name: 'redis-server' }),
    async () => {
      for (const command of words) await done('redis-cli', ['-s', home.at('socket'), ...command])
    },
    async () => (await run('redis-cli', ['-s', home.at('socket'), 'ping'])).stdout.startsWith('PONG'),
  )
}
