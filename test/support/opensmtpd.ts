import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { freePort } from './free-port.ts'
import { run, startProcess, waitForPort } from './process.ts'
import { tempFolder } from './temp-folder.ts'

const program = join(process.env['SLUICE_FILTERS'] ?? '/nonexistent', 'usr/sbin/smtpd')
const control = join(dirname(program), 'smtpctl')
/** The id that `setup` gives to `opensmtpq`: the program runs as this group. */
const queueGroup = '64772'

/** For the `skip` option of a test. Debian's package cannot be installed beside another mail server: it is unpacked. */
export function missingOpenSmtpd(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  return existsSync(program) ? false : 'SLUICE_FILTERS names no folder with the unpacked package opensmtpd'
}

export interface OpenSmtpdOptions {
  /** Where accepted mail goes, as `relay host` has it: `smtp+tls://127.0.0.1:587`. With a login, `{{login}}@` before the host. */
  readonly relay: string
  readonly login?: { readonly user: string; readonly password: string }
}

export interface OpenSmtpd {
  readonly port: number
  /** What `smtpctl` of the same package prints. */
  smtpctl(...args: readonly string[]): Promise<string>
  stop(): Promise<void>
}

/** A complete OpenSMTPD that accepts from loopback for everybody and hands on to one next hop, whose certificate it does not look at. */
export async function startOpenSmtpd({ relay, login }: OpenSmtpdOptions): Promise<OpenSmtpd> {
  const folder = await tempFolder('opensmtpd')
  const port = await freePort()
  const file = join(folder.path, 'smtpd.conf')
  const layers = join(folder.path, 'layers')
  await mkdir(layers)
  await writeFile(file, configuration({ relay, ...(login === undefined ? {} : { login }) }, port), { mode: 0o600 })
  const isolated = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', setup, 'sh', layers]
  const process = startProcess('unshare', [...isolated, program, '-d', '-f', file], { name: 'opensmtpd' })
  try {
    await waitForPort({ port }, process)
  } catch (error) {
    await process.stop(1)
    throw error
  }
  return {
    port,
    async smtpctl(...args) {
      const inside = (await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')).trim().split(' ')[0]
      const enter = ['--target', inside ?? '', '--mount', '--pid', '--setgid', queueGroup, control, ...args]
      const { code, stdout, stderr } = await run('nsenter', enter, { timeoutMs: 120_000 })
      if (code !== 0) throw new Error(`smtpctl ${args.join(' ')}: ${stderr}`)
      return stdout
    },
    stop: async () => {
      // `unshare` itself waits for the end of what it runs, and takes that with it when it is killed.
      await process.stop(1)
      await folder.remove()
    },
  }
}

/** Users, queue and socket of its own: all of these paths are compiled in, and nobody else on this machine sees what lies there. */
const setup = `set -e
layers=$1
shift
mount -t tmpfs tmpfs "$layers"
mkdir "$layers/etc" "$layers/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$layers/etc,workdir=$layers/work" /etc
id=64770
for name in opensmtpd opensmtpq; do
  id=$((id + 1))
  sed -i "/^$name:/d" /etc/passwd /etc/group
  echo "$name:x:$id:$id::/var/lib/opensmtpd/empty:/usr/sbin/nologin" >>/etc/passwd
  echo "$name:x:$id:" >>/etc/group
done
for folder in /run /var/spool /var/lib; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
mkdir -p /var/lib/opensmtpd/empty
exec "$@"
`

function configuration({ relay, login }: OpenSmtpdOptions, port: number): string {
  const secrets = login === undefined ? '' : `table secrets { "sluice" = "${login.user}:${login.password}" }\n`
  const host = relay.replace('{{login}}', 'sluice')
  return `${secrets}listen on 127.0.0.1 port ${port} hostname opensmtpd.sluice.test
action "out" relay host "${host}"${login === undefined ? '' : ' auth <secrets>'} tls no-verify
match from any for any action "out"
`
}
