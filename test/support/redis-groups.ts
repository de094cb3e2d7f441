import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { connectOnce, disconnect } from '../../shared/queue/connection.ts'
import { freePorts } from './free-port.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempFolder, type TempFolder } from './temp-folder.ts'
import { within } from './until.ts'

/** Several redis-servers on loopback of which one is the primary of our keys. */
export interface RedisGroup {
  /** For REDIS_URL. */
  readonly url: string
  /** SIGKILL to the primary; resolves when another one has taken its place. */
  failOver(): Promise<void>
  stop(): Promise<void>
}

const password = 'group secret'
const sentinelPassword = 'watch secret'

/** A primary, a replica of it, and three Sentinels, all with passwords. The Sentinels' own is in `sentinelPassword`. */
export async function startSentinels(): Promise<RedisGroup & { readonly sentinelPassword: string }> {
  const group = await Group.create()
  const [first = 0, second = 0, ...watchers] = await freePorts(5)
  await group.startServer(first, ['--requirepass', password, '--masterauth', password])
  await group.startServer(second, [
    '--requirepass',
    password,
    '--masterauth',
    password,
    '--replicaof',
    '127.0.0.1',
    String(first),
  ])
  await group.until(second, 'INFO replication', /master_link_status:up/, password)
  for (const port of watchers) await group.startSentinel(port, first)
  const [watcher = 0] = watchers
  // Each knows the replica and the two others: else none may be chosen.
  for (const port of watchers) {
    await group.until(port, 'SENTINEL MASTER mymaster', /num-slaves,1,.*num-other-sentinels,2,/, sentinelPassword)
  }
  return {
    url: `redis+sentinel://:${encodeURIComponent(password)}@${watchers.map((port) => `127.0.0.1:${port}`).join(',')}/mymaster`,
    sentinelPassword,
    async failOver() {
      await group.kill(first)
      await group.until(
        watcher,
        'SENTINEL GET-MASTER-ADDR-BY-NAME mymaster',
        new RegExp(`,${second}$`),
        sentinelPassword,
      )
      await group.until(second, 'INFO replication', /role:master/, password)
    },
    stop: () => group.stop(),
  }
}

/** Three primaries with a third of the slots each, and a replica of the one that has the slot of `key`. */
export async function startCluster(key: string): Promise<RedisGroup> {
  const group = await Group.create()
  const ports = await freePorts(8)
  const nodes = ports.slice(0, 4)
  for (const [index, port] of nodes.entries()) {
    await group.startNode(port, ports[index + 4] ?? 0)
  }
  const [one = 0, two = 0, three = 0, spare = 0] = nodes
  const primaries = [one, two, three]
  for (const [index, port] of primaries.entries()) {
    const from = Math.ceil((index * 16_384) / 3)
    await group.ask(port, `CLUSTER ADDSLOTSRANGE ${from} ${Math.ceil(((index + 1) * 16_384) / 3) - 1}`)
  }
  for (const [index, port] of nodes.entries()) {
    if (index > 0) await group.ask(one, `CLUSTER MEET 127.0.0.1 ${port} ${ports[index + 4]}`)
  }
  for (const port of nodes) await group.until(port, 'CLUSTER INFO', /cluster_state:ok[\s\S]*cluster_known_nodes:4/)
  const slot = Number(await group.ask(one, `CLUSTER KEYSLOT ${key}`))
  const owner = primaries[Math.min(2, Math.floor((slot * 3) / 16_384))] ?? 0
  await group.ask(spare, `CLUSTER REPLICATE ${await group.ask(owner, 'CLUSTER MYID')}`)
  await group.until(spare, 'INFO replication', /role:slave[\s\S]*master_link_status:up/)
  const others = nodes.filter((port) => port !== owner && port !== spare)
  return {
    // Only those that do not have the slot: they tell who has.
    url: `redis+cluster://${others.map((port) => `127.0.0.1:${port}`).join(',')}`,
    async failOver() {
      await group.kill(owner)
      await group.until(spare, 'INFO replication', /role:master/)
      for (const port of others) await group.until(port, 'CLUSTER INFO', /cluster_state:ok/)
    },
    stop: () => group.stop(),
  }
}

/** A node that is cut off from the others of its Cluster and still takes itself for the owner of all keys; and one of the others, in order. */
export async function startPartedCluster(): Promise<PartedCluster> {
  const group = await Group.create()
  const [parted = 0, whole = 0, ...buses] = await freePorts(4)
  for (const [index, port] of [parted, whole].entries()) await group.startNode(port, buses[index] ?? 0)
  // A part of the slots is with nobody it can reach.
  await group.ask(parted, 'CLUSTER ADDSLOTSRANGE 0 16000')
  await group.ask(whole, 'CLUSTER ADDSLOTSRANGE 0 16383')
  await group.until(parted, 'CLUSTER INFO', /cluster_state:fail/)
  await group.until(whole, 'CLUSTER INFO', /cluster_state:ok/)
  return {
    url: `redis+cluster://127.0.0.1:${parted},127.0.0.1:${whole}`,
    halt: async () => void (await Promise.all([group.kill(parted), group.kill(whole)])),
    resume: () => group.startNode(whole, buses[1] ?? 0),
    stop: () => group.stop(),
  }
}

export interface PartedCluster extends Pick<RedisGroup, 'url' | 'stop'> {
  /** SIGKILL to both. */
  halt(): Promise<void>
  /** Starts the node that is not cut off. */
  resume(): Promise<void>
}

class Group {
  readonly #folder: TempFolder
  readonly #servers = new Map<number, RunningProcess>()

  private constructor(folder: TempFolder) {
    this.#folder = folder
  }

  static async create(): Promise<Group> {
    return new Group(await tempFolder('redis-group'))
  }

  async startServer(port: number, extra: readonly string[]): Promise<void> {
    const common = {
      port: String(port),
      bind: '127.0.0.1',
      dir: this.#folder.path,
      save: '',
      appendonly: 'yes',
      appenddirname: `aof-${port}`,
      'maxmemory-policy': 'noeviction',
    }
    const args = Object.entries(common).flatMap(([name, value]) => [`--${name}`, value])
    await this.#start(port, [...args, ...extra])
  }

  /** Of a Cluster. */
  async startNode(port: number, bus: number): Promise<void> {
    await this.startServer(port, [
      '--cluster-enabled',
      'yes',
      '--cluster-config-file',
      `nodes-${port}.conf`,
      '--cluster-node-timeout',
      '2000',
      '--cluster-port',
      String(bus),
    ])
  }

  async startSentinel(port: number, primary: number): Promise<void> {
    const file = join(this.#folder.path, `sentinel-${port}.conf`)
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${this.#folder.path}`,
      `requirepass "${sentinelPassword}"`,
      `sentinel sentinel-pass "${sentinelPassword}"`,
      `sentinel monitor mymaster 127.0.0.1 ${primary} 2`,
      `sentinel auth-pass mymaster "${password}"`,
      'sentinel down-after-milliseconds mymaster 1500',
      'sentinel failover-timeout mymaster 5000',
    ]
    await writeFile(file, `${lines.join('\n')}\n`)
    await this.#start(port, [file, '--sentinel'])
  }

  async #start(port: number, args: readonly string[]): Promise<void> {
    const server = startProcess('redis-server', args, { name: `redis ${port}`, cwd: this.#folder.path })
    this.#servers.set(port, server)
    await server.waitForLine((line) => /Ready to accept connections|Sentinel ID is/.test(line))
  }

  /** One command, its words parted by blanks; lists joined by commas. */
  async ask(port: number, command: string, secret?: string): Promise<string> {
    const access = secret === undefined ? {} : { password: secret }
    const redis = await connectOnce(
      { kind: 'tcp', host: '127.0.0.1', port, database: 0, tls: false, ...access },
      'test',
      30_000,
    )
    try {
      const [name = '', ...words] = command.split(' ')
      return String(await redis.call(name, ...words))
    } finally {
      await disconnect(redis)
    }
  }

  /** Servers find each other, and a new primary, by themselves: asked again and again. */
  async until(port: number, command: string, answer: RegExp, secret?: string): Promise<void> {
    let last = ''
    let waits = true
    const right = async (): Promise<void> => {
      while (waits && !answer.test((last = await this.ask(port, command, secret).catch(String)))) await pause(100)
    }
    const what = () => `${command} of ${port} says ${answer.source}; it said ${last}`
    await within(120_000, what, right()).finally(() => (waits = false))
  }

  async kill(port: number): Promise<void> {
    const server = this.#servers.get(port)
    server?.kill('SIGKILL')
    await server?.exited
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.stop()))
    await this.#folder.remove()
  }
}
