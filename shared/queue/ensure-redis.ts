import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Redis } from 'ioredis'

import type { Logger } from '../log.ts'
import { checkRedis, UnsuitableRedisError } from './check-redis.ts'
import { clientNamePrefix, connectOnce, disconnect } from './connection.ts'
import { withFileLock } from '../file-lock.ts'
import { describeAddress, parseRedisUrl } from './redis-address.ts'
import type { RedisAddress, RedisSecrets } from './redis-address.ts'
import { downloadEngine, findInEngine, findInPath } from './redis-engine.ts'
import type { ServerProgram } from './redis-server.ts'
import { answers, runningServer, setDamagedAside, socketPathOf, startServer } from './redis-server.ts'

export interface EnsureRedisSettings {
  /** Ours lives in `<dataFolder>/redis/`, a downloaded one in `<dataFolder>/engine/`. */
  readonly dataFolder: string
  /** An operator's Redis; the environment's REDIS_URL when left out, none when empty. */
  readonly redisUrl?: string
  /** Of that Redis, from files. */
  readonly secrets?: RedisSecrets
  /** Whether apt-get may fetch Redis when none is installed; yes when left out. */
  readonly download?: boolean
  readonly log: Logger
  /** The form of PATH; the environment's when left out. */
  readonly searchPath?: string
}

/** A Redis that answers, or is expected to. */
export interface RedisEndpoint {
  readonly address: RedisAddress
  /** `own`: started by us or by another Sluice on the same data folder. */
  readonly kind: 'given' | 'own'
  /**
   * Call when all queues are closed. The last Sluice process on a Redis of our own stops it, so that nothing stays behind;
   * the queues are on disk. Never throws, may be called twice.
   */
  release(): Promise<void>
}

/** No Redis here and none to be had: the message tells how to get one. */
export class NoRedisError extends Error {
  override readonly name = 'NoRedisError'
}

/**
 * Finds or starts a Redis: (1) the given one; (2) ours on the unix socket of the data folder, adopted when it lives, else
 * redis-server or valkey-server from PATH is started; (3) the same with one that apt-get fetches. Processes that start at
 * the same time end with one Redis. A given Redis that is away is no error: mail is accepted without it.
 * @throws UnsuitableRedisError when it must not be used, NoRedisError when there is none.
 */
export async function ensureRedis(settings: EnsureRedisSettings): Promise<RedisEndpoint> {
  const url = settings.redisUrl ?? process.env['REDIS_URL'] ?? ''
  return url === '' ? ensureOwn(settings) : useGiven(parseRedisUrl(url, settings.secrets), settings.log)
}

async function useGiven(address: RedisAddress, log: Logger): Promise<RedisEndpoint> {
  let redis: Redis | undefined
  try {
    redis = await connectOnce(address, `${clientNamePrefix}check:${process.pid}`, 3000)
    const report = await checkRedis(redis, address)
    for (const warning of report.warnings) log.warn({ redis: describeAddress(address) }, warning)
  } catch (error) {
    if (error instanceof UnsuitableRedisError) throw error
    log.warn(
      { redis: describeAddress(address), error: String(error) },
      'Redis does not answer yet; mail waits in the spool',
    )
  } finally {
    redis?.disconnect()
  }
  return { address, kind: 'given', release: () => Promise.resolve() }
}

async function ensureOwn(settings: EnsureRedisSettings): Promise<RedisEndpoint> {
  const dataFolder = resolve(settings.dataFolder)
  const folder = join(dataFolder, 'redis')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const address: RedisAddress = { kind: 'socket', path: socketPathOf(folder) }
  const own = new OwnRedis(join(folder, 'start.lock'), address, settings.log, () =>
    adoptOrStart(settings, dataFolder, address.path),
  )
  await own.join()
  return { address, kind: 'own', release: () => own.release() }
}

/** Our part in a Redis of our own: we say that we use it, start it again when it dies, and stop it when nobody is left. */
class OwnRedis {
  readonly #lockPath: string
  readonly #address: RedisAddress
  readonly #log: Logger
  readonly #adoptOrStart: () => Promise<void>
  #presence: Redis | undefined
  #released: Promise<void> | undefined

  constructor(lockPath: string, address: RedisAddress, log: Logger, start: () => Promise<void>) {
    this.#lockPath = lockPath
    this.#address = address
    this.#log = log
    this.#adoptOrStart = start
  }

  async join(): Promise<void> {
    await withFileLock(this.#lockPath, async () => {
      if (this.#released !== undefined) return
      await this.#adoptOrStart()
      const presence = await announcePresence(this.#address)
      this.#presence = presence
      presence.once('end', () => void this.#revive())
    })
  }

  release(): Promise<void> {
    return (this.#released ??= this.#release().catch(() => {}))
  }

  async #revive(): Promise<void> {
    for (let waitMs = 100; this.#released === undefined; waitMs = Math.min(waitMs * 2, 10_000)) {
      try {
        await this.join()
        return
      } catch (error) {
        this.#log.error({ error: String(error) }, 'our Redis is gone and does not start; trying again')
        await sleep(waitMs, undefined, { ref: false })
      }
    }
  }

  async #release(): Promise<void> {
    await withFileLock(this.#lockPath, async () => {
      if (this.#presence !== undefined) await leave(this.#presence, this.#address, this.#log)
    })
  }
}

async function adoptOrStart(settings: EnsureRedisSettings, dataFolder: string, socketPath: string): Promise<void> {
  const folder = join(dataFolder, 'redis')
  if (await answers(socketPath)) return
  const pid = await runningServer(folder)
  // Two servers on one append-only file would destroy it.
  if (pid !== undefined && !(await endsSoon(folder, socketPath))) {
    if (await answers(socketPath)) return
    throw new Error(`Redis (process ${pid}) runs on ${folder} but does not answer on ${socketPath}`)
  }
  const program = await findProgram(settings, dataFolder)
  const startedPid = await startServer(program, folder, socketPath).catch(async (error: unknown) => {
    const aside = await setDamagedAside(folder)
    if (aside === undefined) throw error
    settings.log.error(
      { kept: aside },
      'Redis cannot read its append-only file: starting empty, to be filled from the spool',
    )
    return startServer(program, folder, socketPath)
  })
  settings.log.info({ pid: startedPid, program: program.command, socket: socketPath }, 'Redis started')
}

/** A server that is shutting down gets 10 s; true when it is gone. */
async function endsSoon(folder: string, socketPath: string): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    if ((await runningServer(folder)) === undefined) return true
    if (await answers(socketPath)) return false
    await sleep(100)
  }
  return false
}

async function findProgram(settings: EnsureRedisSettings, dataFolder: string): Promise<ServerProgram> {
  const engineFolder = join(dataFolder, 'engine')
  const found =
    (await findInPath(settings.searchPath ?? process.env['PATH'] ?? '')) ?? (await findInEngine(engineFolder))
  if (found !== undefined) return found
  if (settings.download === false) throw new NoRedisError(howToInstall('fetching it is switched off'))
  try {
    return await downloadEngine(engineFolder, settings.log)
  } catch (error) {
    throw new NoRedisError(howToInstall(`fetching it failed: ${firstLine(error)}`), { cause: error })
  }
}

function howToInstall(reason: string): string {
  return [
    `No Redis: REDIS_URL is not set, there is no redis-server or valkey-server in PATH, and ${reason}. Install it:`,
    '  apt install redis-server        (Debian, Ubuntu)',
    '  brew install redis              (macOS)',
    '  apk add redis                   (Alpine)',
    'or set REDIS_URL=redis://host:6379',
  ].join('\n')
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n', 1)[0] ?? ''
}

/** A connection that says "somebody uses this Redis" until `release`. */
async function announcePresence(address: RedisAddress): Promise<Redis> {
  const redis = await connectOnce(address, presenceName(), 5000)
  await checkRedis(redis, address)
  return redis
}

async function leave(presence: Redis, address: RedisAddress, log: Logger): Promise<void> {
  const redis = presence.status === 'ready' ? presence : await connectOnce(address, 'leaving', 2000)
  try {
    await redis.client('SETNAME', 'leaving')
    const clients = String(await redis.client('LIST'))
    if (clients.includes(` name=${clientNamePrefix}`)) return
    log.info({ redis: describeAddress(address) }, 'last one out: stopping Redis')
    // The answer of SHUTDOWN is the end of the connection.
    await redis.shutdown().catch(() => {})
  } finally {
    await disconnect(redis)
  }
}

function presenceName(): string {
  return `${clientNamePrefix}presence:${process.pid}`
}
