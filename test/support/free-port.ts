import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/**
 * Below the ports that Linux gives to outgoing connections (32768 to 60999): one of those may be taken by somebody's connection between
 * the moment it was found free and that at which a server listens on it.
 */
const [lowest, highest] = [12_000, 32_000]

/** A TCP port nothing listens on at this moment. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const [port] = await freePorts(1, host)
  return port as number
}

/** Distinct ports: all are held until the last one is known. */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<readonly number[]> {
  const held = new Map<number, Server>()
  while (held.size < count) {
    const port = randomInt(lowest, highest)
    if (held.has(port)) continue
    const server = await listening(port, host)
    if (server !== undefined) held.set(port, server)
  }
  await Promise.all([...held.values()].map((server) => new Promise((resolve) => server.close(resolve))))
  return [...held.keys()]
}

/** Undefined: somebody else does. */
async function listening(port: number, host: string): Promise<Server | undefined> {
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
    return server
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined
    throw error
  }
}
