import { mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { readComposeFile } from '../deploy/compose-file.ts'
import { root } from '../support/fixtures.ts'
import { freePorts } from '../support/free-port.ts'
import { docker, dockerWith, eventually, stateOf } from './engine.ts'
import { Mail } from './mail.ts'
import { Place } from './place.ts'
import { images, thisVersion, type Version } from './project.ts'

const file = 'deploy/swarm/stack.yaml'

/** deploy/swarm/stack.yaml on the swarm that the engine manages, with test/compose/swarm.yml on top: there is somebody at elsewhere.test. */
export class Stack extends Place {
  /** As that of a `ComposeProject`. */
  readonly zones = join(tmpdir(), this.name)
  readonly mail = new Mail(this)
  /** What stays the same from one deployment to the next, also when somebody builds other images under these tags. */
  #settings: Readonly<Record<string, string>> = {}

  /** Resolves when all services are well. */
  static async start(version: Version = thisVersion): Promise<Stack> {
    const stack = new Stack()
    try {
      await mkdir(stack.zones)
      stack.#settings = { ...stack.#names(), ...(await stack.#folders()), ...(await ports()), ...(await otherImages()) }
      await stack.deploy(version)
      return stack
    } catch (error) {
      await stack.remove()
      throw error
    }
  }

  /** Resolves when all tasks are of that version, and well. */
  async deploy(version: Version): Promise<void> {
    const image = await idOfImage(version.image)
    const files = [join(version.folder, file), join(root, 'test/compose/swarm.yml')].flatMap((path) => ['-c', path])
    const how = ['--detach=true', '--resolve-image', 'never']
    await dockerWith({ ...this.#settings, SLUICE_IMAGE: image }, 'stack', 'deploy', ...how, ...files, this.name)
    await this.converges(image)
  }

  async scale(service: string, count: number): Promise<void> {
    await docker('service', 'scale', '--detach=true', `${this.name}_${service}=${count}`)
    await this.converges()
  }

  async containers(service: string): Promise<readonly string[]> {
    const listed = await docker('ps', '-q', '-f', `label=com.docker.swarm.service.name=${this.name}_${service}`)
    return listed.split('\n').filter((id) => id !== '')
  }

  /** Ends one task of each service as a crash does, by SIGKILL, all at once; resolves when Swarm has put others in their place, and they are well. */
  async crash(services: readonly string[]): Promise<void> {
    const killed = await Promise.all(services.map(async (service) => (await this.containers(service))[0] ?? ''))
    const pids = await Promise.all(killed.map(async (id) => (await stateOf(id)).pid))
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    this.forgetPorts()
    await eventually(
      async () => (await Promise.all(services.map((service) => this.containers(service)))).flat(),
      (ids) => !killed.some((id) => ids.includes(id)),
      (ids) => Promise.resolve(`${killed.join(' ')} were killed, and these run: ${ids.join(' ')}`),
    )
    await this.converges()
  }

  /** With all it has: volumes, networks, containers. */
  async remove(): Promise<void> {
    await docker('stack', 'rm', this.name)
    // Not by its own `--detach=false`, which counts tasks that have ended more than once and may wait for ever.
    await eventually(
      () => this.#remains(),
      (left) => left === '',
      (left) => Promise.resolve(`these are left: ${left}`),
    )
    const volumes = ['_data', '_identity', '_mail', '_redis', '-data', '-identity']
    await docker('volume', 'rm', '-f', ...volumes.map((volume) => `${this.name}${volume}`))
    await rm(this.zones, { recursive: true, force: true })
  }

  #names(): Readonly<Record<string, string>> {
    return {
      SLUICE_TEST_FOLDER: join(root, 'test'),
      SLUICE_TEST_ZONES: this.zones,
      CONFIGURATION: this.name,
      MAIL_DOMAIN: 'sluice.test',
      MAIL_HOSTNAME: 'mx.sluice.test',
      NFS_SERVER: 'nobody: test/compose/swarm.yml has other volumes',
    }
  }

  /** Of the engine, which may delete them whoever their files belong to. */
  async #folders(): Promise<Readonly<Record<string, string>>> {
    const folder = async (what: string): Promise<string> => {
      const volume = (await docker('volume', 'create', `${this.name}-${what}`)).trim()
      return (await docker('volume', 'inspect', '-f', '{{.Mountpoint}}', volume)).trim()
    }
    return { SLUICE_TEST_DATA: await folder('data'), SLUICE_TEST_IDENTITY: await folder('identity') }
  }

  /** Each service has as many tasks as it must, all of them are well, and those of ours have that image. */
  async converges(image?: string): Promise<void> {
    await eventually(
      () => this.#tasks(),
      ({ services, containers }) =>
        services.every(({ count }) => count.includes(' completed') || isWhole(count)) &&
        containers.every((one) => one.status.includes('(healthy)') || one.service.endsWith('_elsewhere')) &&
        (image === undefined || containers.every((one) => one.image === image || !isOurs(one.service, this.name))),
      async (tasks) => `${JSON.stringify(tasks, null, 1)}\n${await docker('stack', 'ps', '--no-trunc', this.name)}`,
    )
    this.forgetPorts()
  }

  async #remains(): Promise<string> {
    const here = ['-f', `label=com.docker.stack.namespace=${this.name}`]
    return (await docker('ps', '-aq', ...here)) + (await docker('network', 'ls', '-q', ...here))
  }

  async #tasks(): Promise<Tasks> {
    const here = `label=com.docker.stack.namespace=${this.name}`
    const counts = await docker('service', 'ls', '-f', here, '--format', '{{.Name}}\t{{.Replicas}}')
    const format = '{{.Label "com.docker.swarm.service.name"}}\t{{.Image}}\t{{.Status}}'
    const running = await docker('ps', '--no-trunc', '-f', here, '--format', format)
    return {
      services: fieldsOf(counts).map(([name = '', count = '']) => ({ name, count })),
      containers: fieldsOf(running).map(([service = '', image = '', status = '']) => ({ service, image, status })),
    }
  }
}

interface Tasks {
  readonly services: readonly { readonly name: string; readonly count: string }[]
  readonly containers: readonly { readonly service: string; readonly image: string; readonly status: string }[]
}

function fieldsOf(table: string): readonly (readonly string[])[] {
  return table
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'))
}

/** `2/2`, but not `1/2`; tasks of a host that is gone are counted as if they ran. */
function isWhole(count: string): boolean {
  const [, running = '', wanted = ''] = /^(\d+)\/(\d+)/.exec(count) ?? []
  return Number(running) >= Number(wanted)
}

function isOurs(service: string, stack: string): boolean {
  return !['redis', 'unbound', 'dovecot', 'elsewhere'].some((other) => service === `${stack}_${other}`)
}

/** Whichever ports of the node are free, by their names in stack.yaml. */
async function ports(): Promise<Readonly<Record<string, string>>> {
  const names = 'SMTP_PORT SUBMISSION_PORT SUBMISSIONS_PORT IMAPS_PORT SIEVE_PORT DASHBOARD_PORT'.split(' ')
  const free = await freePorts(names.length)
  return Object.fromEntries(names.map((name, index) => [name, `${free[index]}`]))
}

/** Those that are not of a version. */
async function otherImages(): Promise<Readonly<Record<string, string>>> {
  const { redis, dovecot } = readComposeFile(file).services
  return {
    UNBOUND_IMAGE: await idOfImage(images(thisVersion).UNBOUND_IMAGE),
    SLUICE_TEST_IMAGE: await idOfImage(thisVersion.image),
    SLUICE_TEST_REDIS: await idOfImage(redis?.image ?? ''),
    SLUICE_TEST_DOVECOT: await idOfImage(dovecot?.image ?? ''),
  }
}

/** What a tag means here; it is fetched when it means nothing yet. */
export async function idOfImage(tag: string): Promise<string> {
  const inspect = (): Promise<string> => docker('image', 'inspect', '-f', '{{.Id}}', tag)
  const id = await inspect().catch(async () => {
    await docker('pull', '-q', tag)
    return inspect()
  })
  return id.trim()
}
