import { connect as connectPlain } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

import { AbstractConnector, Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'

import type { ClusterAddress, RedisNode } from './redis-address.ts'

type Connector = NonNullable<RedisOptions['Connector']>

/**
 * Leads a connection to that node of a Cluster which has the slot of our keys: they all lie in one (see `ClusterAddress`), so that a
 * connection to this node is all that is needed, and BullMQ and our scripts work as with a single Redis. Asked again at each connect: who
 * hears MOVED, READONLY or CLUSTERDOWN connects again. While no node knows, they are asked again: to ioredis a connector that rejects has
 * ended for good.
 * @param isPatient false: it rejects when no node knows
 */
export function clusterConnector(address: ClusterAddress, timeoutMs: number, isPatient: boolean): Connector {
  // The named ones first, then those they told of.
  let nodes: readonly RedisNode[] = address.nodes

  return class extends AbstractConnector {
    constructor() {
      super(timeoutMs)
    }

    /** Of what INFO said. */
    override check({ role }: { readonly role?: string }): boolean {
      return role === 'master'
    }

    async connect(tell: (event: string, error: Error) => void): Promise<Socket> {
      this.connecting = true
      const { owner, all } = await this.#slots(tell)
      const named = new Set(address.nodes.map(textOf))
      nodes = [...address.nodes, ...all.filter((node) => !named.has(textOf(node)))]
      if (!this.connecting) throw new Error('the connection was given up')
      const socket = address.tls ? connectTls(owner) : connectPlain(owner)
      socket.once('error', (error) => {
        this.firstError = error
      })
      this.stream = socket
      return socket
    }

    async #slots(tell: (event: string, error: Error) => void): Promise<Slots> {
      for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
        try {
          return await askAround(nodes, (node) => askForOwner(address, node, timeoutMs))
        } catch (error) {
          if (!isPatient || !this.connecting) throw error
          tell('error', error as Error)
        }
        await sleep(pauseMs, undefined, { ref: false })
        if (!this.connecting) throw new Error('the connection was given up')
      }
    }
  }
}

const firstPauseMs = 100
const longestPauseMs = 2_000

/** The answer of the first node that has one. @throws what the last one threw */
async function askAround(nodes: readonly RedisNode[], ask: (node: RedisNode) => Promise<Slots>): Promise<Slots> {
  let trouble: unknown
  for (const node of nodes) {
    try {
      return await ask(node)
    } catch (error) {
      trouble = error
    }
  }
  throw trouble
}

interface Slots {
  readonly owner: RedisNode
  readonly all: readonly RedisNode[]
}

/**
 * @throws Error when the node is away, is no part of a Cluster, knows of no node with the slot, or is cut off from most of the others: then it
 *   may name one that others have replaced
 */
async function askForOwner(address: ClusterAddress, { host, port }: RedisNode, timeoutMs: number): Promise<Slots> {
  const redis = new Redis({
    host,
    port,
    ...loginOf(address),
    lazyConnect: true,
    // A node that is still loading knows the slots as well.
    enableReadyCheck: false,
    disableClientInfo: true,
    enableOfflineQueue: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
  })
  redis.on('error', () => {})
  try {
    await redis.connect()
    if (!/^cluster_state:ok/m.test(await redis.cluster('INFO')))
      throw new Error(`${textOf({ host, port })} says that its Cluster is down`)
    const slot = await redis.cluster('KEYSLOT', address.prefix)
    const ranges = await redis.cluster('SLOTS')
    // A node tells no host of its own when it does not know it.
    const named = ([name, itsPort]: readonly [string, number, ...unknown[]]): RedisNode => ({
      host: name || host,
      port: itsPort,
    })
    const owner = ranges.find(([from, to]) => from <= slot && slot <= to)?.[2]
    if (owner === undefined) throw new Error(`no node of the Cluster has slot ${slot} of the keys ${address.prefix}:*`)
    return { owner: named(owner), all: ranges.flatMap(([, , ...some]) => some.map(named)) }
  } finally {
    redis.disconnect()
  }
}

/** What a connection says who it is. */
export function loginOf({ tls, username, password }: Pick<ClusterAddress, 'tls' | 'username' | 'password'>): {
  readonly tls?: Record<string, never>
  readonly username?: string
  readonly password?: string
} {
  return {
    ...(tls ? { tls: {} } : {}),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  }
}

function textOf({ host, port }: RedisNode): string {
  return `${host}:${port}`
}
