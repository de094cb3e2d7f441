import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'

/** Programs the tests talk to, and the Debian package each comes in. */
const packages = {
  'smtp-sink': 'postfix',
  'smtp-source': 'postfix',
  postfix: 'postfix',
  swaks: 'swaks',
  curl: 'curl',
  dovecot: 'dovecot-lmtpd dovecot-imapd',
  sievec: 'dovecot-sieve',
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  opendkim: 'opendkim',
  dkimverify: 'python3-dkim',
  mount: 'mount',
  ip: 'iproute2',
  unshare: 'util-linux',
  amavisd: 'amavisd-new',
  clamd: 'clamav-daemon',
  spamd: 'spamd',
  rspamd: 'rspamd',
  msmtp: 'msmtp',
  mutt: 'mutt libsasl2-modules',
  python3: 'python3',
  pg_ctl: 'postgresql',
  mariadbd: 'mariadb-server',
  slapd: 'slapd',
  unbound: 'unbound',
  'ldns-keygen': 'ldnsutils',
  'ldns-signzone': 'ldnsutils',
  chromium: 'chromium',
  prometheus: 'prometheus',
  promtool: 'prometheus',
  'systemd-analyze': 'systemd',
} as const

export type Peer = keyof typeof packages

/** The program's path, or `undefined` when this machine does not have it. */
export function findPeer(peer: Peer): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin']
  if (peer === 'pg_ctl') folders.push(...postgresFolders())
  return folders.map((folder) => join(folder, peer)).find(isExecutable)
}

/** Debian keeps the programs of each version of PostgreSQL apart. */
function postgresFolders(): readonly string[] {
  const versions = '/usr/lib/postgresql'
  return existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : []
}

/** For the `skip` option of a test: false when all are there, else what to install. */
export function missingPeers(...peers: readonly Peer[]): string | false {
  const missing = peers.filter((peer) => findPeer(peer) === undefined)
  if (missing.length === 0) return false
  const install = [...new Set(missing.map((peer) => packages[peer]))].join(' ')
  return `${missing.join(', ')} not found: apt-get install ${install}`
}

/** Skips the running test aloud when a peer is missing: `if (!requirePeer(t, 'dovecot')) return`. */
export function requirePeer(t: TestContext, ...peers: readonly Peer[]): boolean {
  const missing = missingPeers(...peers)
  if (missing !== false) t.skip(missing)
  return missing === false
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
