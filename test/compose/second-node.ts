import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readdirSync, readlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { run, type RunningProcess, startProcess } from '../support/process.ts'
import { type TempFolder, tempFolder } from '../support/temp-folder.ts'
import { docker, dockerWith, eventually } from './engine.ts'

/** For the `skip` option of a test: false when a second host can be had beside an engine that is in no swarm. */
export function missingSecondNode(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  if (engineProgram() === undefined) return 'the Docker engine is not on this machine'
  const state = execFileSync('docker', ['info', '-f', '{{.Swarm.LocalNodeState}}'], { encoding: 'utf8' }).trim()
  return state === 'inactive'
    ? false
    : 'the Docker engine is in a swarm that a second host may not reach; unless somebody needs it: docker swarm leave --force'
}

/**
 * A second host: an engine with network, processes and mounts of its own (namespaces of Linux), at the other end of a cable. Folders
 * of this machine are there, too, as if both hosts had mounted them.
 */
export class SecondNode {
  /** This machine, as the other one sees it. */
  readonly here: string
  readonly address: string
  readonly #name: string
  readonly #folder: TempFolder
  readonly #engine: RunningProcess
  #id = ''

  private constructor(name: string, here: string, address: string, folder: TempFolder, engine: RunningProcess) {
    this.#name = name
    this.here = here
    this.address = address
    this.#folder = folder
    this.#engine = engine
  }

  /** Its engine is on its way then, and the cable is there. */
  static async start(): Promise<SecondNode> {
    const name = `sluice-${randomInt(0x10_00_00, 0xff_ff_ff).toString(16)}`
    const [net, host] = [`198.18.${randomInt(256)}`, 4 * randomInt(63)]
    const [here, address] = [`${net}.${host + 1}`, `${net}.${host + 2}`]
    const folder = await tempFolder('node')
    await shell(cable, name, here, address)
    return new SecondNode(name, here, address, folder, startEngine(name, folder.path))
  }

  docker(...words: readonly string[]): Promise<string> {
    return dockerWith({ DOCKER_HOST: `unix://${socketOf(this.#folder.path)}` }, ...words)
  }

  /** Of the swarm that the engine of this machine manages, with images that this one has; mail comes in here, too. */
  async join(images: readonly string[]): Promise<void> {
    await eventually(
      () => this.docker('version').catch(() => ''),
      (answer) => answer !== '',
      () => Promise.resolve(`no engine on the second host:\n${this.#engine.lines.join('\n')}`),
    )
    const archive = join(this.#folder.path, 'images.tar')
    await docker('save', '-o', archive, ...images)
    await this.docker('load', '-q', '-i', archive)
    const token = (await docker('swarm', 'join-token', '-q', 'worker')).trim()
    await this.docker('swarm', 'join', '--advertise-addr', this.address, '--token', token, `${this.here}:2377`)
    this.#id = (await this.docker('info', '-f', '{{.Swarm.NodeID}}')).trim()
    await docker('node', 'update', '--label-add', 'mail=true', this.#id)
  }

  /** What each container of a service of a stack has printed here. */
  async saidByEach(service: string): Promise<readonly string[]> {
    const ids = (await this.docker('ps', '-q', '-f', `label=com.docker.swarm.service.name=${service}`)).split('\n')
    return Promise.all(ids.filter((id) => id !== '').map((id) => this.docker('logs', id)))
  }

  /** As by a loss of power: all its processes end at once. Resolves when the swarm has noticed. */
  async die(): Promise<void> {
    await this.#end()
    await eventually(
      () => docker('node', 'inspect', '-f', '{{.Status.State}}', this.#id),
      (state) => state.trim() === 'down',
      (state) => Promise.resolve(`the second host is ${state}`),
    )
  }

  /** The swarm knows nothing of it then, and nothing of it is left. */
  async remove(): Promise<void> {
    await this.#end()
    if (this.#id !== '') await docker('node', 'rm', '--force', this.#id)
    await shell(away, this.#name)
    await this.#folder.remove()
  }

  async #end(): Promise<void> {
    this.#engine.kill('SIGKILL')
    await this.#engine.exited
  }
}

const cable = `set -e
ip netns add "$1"
ip link add "$1" type veth peer name eth0 netns "$1"
ip addr add "$2/30" dev "$1"
ip link set "$1" up
ip -n "$1" addr add "$3/30" dev eth0
ip -n "$1" link set eth0 up
ip -n "$1" link set lo up
ip -n "$1" route add default via "$2"`

const away = `ip netns del "$1"
find /sys/fs/cgroup -depth -type d -path "*/$1*" -exec rmdir {} +`

/** With the first process of a namespace all others in it end. */
function startEngine(name: string, folder: string): RunningProcess {
  const program = engineProgram() ?? 'dockerd'
  const inside = `hostname "$0"; mount -t tmpfs tmpfs /run; exec "$@"`
  const options = ['-H', `unix://${socketOf(folder)}`, '--data-root', join(folder, 'data'), '--cgroup-parent', name]
  const words = [program, ...options, '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')]
  const spaces = ['--uts', '--pid', '--mount', '--mount-proc', '--fork', '--kill-child']
  const beside = join(dirname(program), '../bin')
  return startProcess(
    'nsenter',
    [`--net=/run/netns/${name}`, 'unshare', ...spaces, 'sh', '-c', inside, name, ...words],
    {
      name: 'dockerd of the second host',
      env: { PATH: `${dirname(program)}:${beside}:${process.env['PATH'] ?? ''}` },
    },
  )
}

function socketOf(folder: string): string {
  return join(folder, 'docker.sock')
}

/** The program of the engine that runs on this machine. */
function engineProgram(): string | undefined {
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const program = readlinkSync(`/proc/${pid}/exe`)
      if (basename(program) === 'dockerd') return program
    } catch {
      // It has ended, or has no program.
    }
  }
  return undefined
}

async function shell(script: string, ...words: readonly string[]): Promise<void> {
  const { code, stderr } = await run('sh', ['-c', script, 'sh', ...words])
  if (code !== 0) throw new Error(`${script}\n${stderr}`)
}
