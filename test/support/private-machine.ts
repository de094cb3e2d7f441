import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { test } from 'node:test'

import { root } from './fixtures.ts'
import { missingPeers, type Peer } from './peer.ts'
import { type Finished, run } from './process.ts'

const mark = 'SLUICE_PRIVATE_MACHINE'
const strangerProcess = 'SLUICE_STRANGER'
const ownAddress = '192.0.2.25'

/** Inside `testOnPrivateMachine`, where the address of `eth0` is this. */
export const machineAddress = ownAddress

export const strangerAddress = '192.0.2.99'

/**
 * Runs the tests of a file on a machine of their own: network, /etc and /run are theirs alone (namespaces of Linux), every port
 * is free, and a stranger is at the other end of `eth0`. What is written for a server runs unchanged. The file calls it with what it would do at the top:
 * outside, that is one test which runs the file again inside; skipped aloud without root or the peers.
 */
export function testOnPrivateMachine(file: string, peers: readonly Peer[], tests: () => void): void {
  if (process.env[mark] === '1') return tests()
  const skip = process.getuid?.() === 0 ? missingPeers('unshare', 'ip', ...peers) : 'needs root'
  test(`${basename(file, '.test.ts')}, on a machine of its own`, { skip }, async () => {
    const finished = await run(
      'unshare',
      [
        '--mount',
        '--net',
        '--pid',
        '--mount-proc',
        '--kill-child',
        '--fork',
        'sh',
        '-c',
        setup,
        'sh',
        process.execPath,
        file,
      ],
      { cwd: root, env: { [mark]: '1', ...ciOf() }, timeoutMs: 300_000 },
    )
    console.log(finished.stdout)
    if (finished.code !== 0) throw new Error(`${finished.stdout}${finished.stderr}`)
  })
}

/** Overlays keep what packages installed in /etc and hide what is changed from everybody else. */
const setup = `set -e
ip link set lo up
ip link add eth0 type veth peer name far0
ip link set eth0 addrgenmode none
ip addr add ${ownAddress}/24 dev eth0
ip link set eth0 up
unshare --net sleep infinity &
stranger=$!
while [ "$(readlink "/proc/$stranger/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set far0 netns "$stranger"
nsenter -t "$stranger" -n ip addr add ${strangerAddress}/24 dev far0
nsenter -t "$stranger" -n ip link set far0 up
export ${strangerProcess}="$stranger"
layers=$(mktemp -d)
mount -t tmpfs tmpfs "$layers"
mkdir "$layers/etc" "$layers/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$layers/etc,workdir=$layers/work" /etc
mount -t tmpfs tmpfs /run
printf 'nameserver 127.0.0.1\\n' >/etc/resolv.conf
printf '127.0.0.1 localhost\\n' >/etc/hosts
"$1" --import tsx --test-reporter=spec "$2"
`

function ciOf(): Readonly<Record<string, string>> {
  const { CI } = process.env
  return CI === undefined ? {} : { CI }
}

/** In front of a command: it runs on the machine at the other end of `eth0`. */
export function asStranger(): readonly string[] {
  return ['nsenter', '-t', process.env[strangerProcess] ?? '', '-n']
}

/** Runs a program to its end on the machine at the other end of `eth0`. */
export function runAsStranger(command: string, args: readonly string[]): Promise<Finished> {
  const [enter = '', ...there] = asStranger()
  return run(enter, [...there, command, ...args], { timeoutMs: 120_000 })
}

/** A file or, with `target`, a symbolic link at a place that the configuration names. */
export async function place(
  path: string,
  what: { readonly text: string } | { readonly target: string },
): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await rm(path, { force: true })
  if ('text' in what) await writeFile(path, what.text)
  else await symlink(what.target, path)
}
