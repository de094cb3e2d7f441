import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'

import { socketPathOf } from '../../shared/queue/redis-server.ts'
import { startTestRedis, type TestRedis } from '../../shared/queue/testing.ts'

export interface RedisServer extends TestRedis {
  /** Sends one command; the first line of its reply. */
  command(...words: readonly string[]): Promise<string>
}

/** A real Redis of a test's own. @param extra more arguments of redis-server, e.g. `['--maxmemory-policy', 'allkeys-lru']` */
export async function startRedis(extra: readonly string[] = []): Promise<RedisServer> {
  const server = await startTestRedis(extra)
  const { address } = server
  if (address.kind !== 'socket') throw new Error('the test Redis listens on a unix socket')
  return Object.assign(server, { command: (...words: readonly string[]) => redisCommand(address.path, words) })
}

/** The socket of the Redis that the product starts for itself. */
export function ownRedisSocket(dataFolder: string): string {
  return socketPathOf(`${dataFolder}/redis`)
}

/** Ends the Redis that the product started for itself, if it outlived it: what a killed process leaves behind. */
export async function stopOwnRedis(dataFolder: string): Promise<void> {
  const text = await readFile(join(dataFolder, 'redis', 'redis.pid'), 'utf8').catch(() => '')
  const pid = Number(text.trim())
  if (text.trim() === '' || !Number.isInteger(pid)) return
  // The number may be somebody else's by now.
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  if (command.includes(dataFolder)) process.kill(pid, 'SIGKILL')
}

/** Redis's inline protocol: one line out, the first line of the reply back. */
export function redisCommand(socketPath: string, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath })
    let reply = ''
    socket.on('data', (chunk) => {
      reply += chunk.toString()
      if (reply.includes('\r\n')) socket.end()
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(reply.split('\r\n')[0] ?? ''))
    socket.write(`${words.join(' ')}\r\n`)
  })
}
