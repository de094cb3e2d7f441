import type { Redis } from 'ioredis'

import { describeAddress, redisCliOf } from './redis-address.ts'
import type { RedisAddress } from './redis-address.ts'

/** What a Redis says about itself, and what follows for us. */
export interface RedisReport {
  readonly server: 'redis' | 'valkey'
  readonly version: string
  /** Changes with every start of the server. */
  readonly runId: string
  readonly usedBytes: number
  /** 0: no limit. */
  readonly maxBytes: number
  /** Above 75 % of maxmemory no new mail is fed into the queues (workers would deadlock at 100 %); it waits in the spool. */
  readonly tooFull: boolean
  /** Reasons not to use it, each with its cure; jobs could vanish or nothing would run. */
  readonly refusals: readonly string[]
  readonly warnings: readonly string[]
}

/** A Redis that must not be used, with what to do about it. */
export class UnsuitableRedisError extends Error {
  override readonly name = 'UnsuitableRedisError'
}

/** Asks Redis for what we depend on (INFO only, so that managed servers without CONFIG work). */
export async function inspectRedis(redis: Redis, address: RedisAddress): Promise<RedisReport> {
  return judge(parseInfo(await redis.info()), address)
}

/** @throws UnsuitableRedisError when it must not be used. */
export async function checkRedis(redis: Redis, address: RedisAddress): Promise<RedisReport> {
  const report = await inspectRedis(redis, address)
  if (report.refusals.length > 0) throw new UnsuitableRedisError(report.refusals.join('\n'))
  return report
}

/** `name:value` lines of INFO. */
export function parseInfo(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}

export function judge(info: ReadonlyMap<string, string>, address: RedisAddress): RedisReport {
  const valkey = info.get('valkey_version')
  const version = valkey ?? info.get('redis_version') ?? '0'
  const usedBytes = Number(info.get('used_memory') ?? 0)
  const maxBytes = Number(info.get('maxmemory') ?? 0)
  const fill = maxBytes === 0 ? 0 : usedBytes / maxBytes
  return {
    server: valkey === undefined ? 'redis' : 'valkey',
    version,
    runId: info.get('run_id') ?? '',
    usedBytes,
    maxBytes,
    tooFull: fill >= 0.75,
    refusals: [
      ...refuseVersion(version, address),
      ...refusePolicy(info.get('maxmemory_policy'), address),
      ...refuseReplica(info, address),
    ],
    warnings: [...warnFill(fill, maxBytes), ...warnPersistence(info)],
  }
}

function refuseVersion(version: string, address: RedisAddress): readonly string[] {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 6 || (major === 6 && minor >= 2)) return []
  return [
    `Redis ${version} at ${describeAddress(address)} is too old: Sluice needs Redis 6.2 or newer, or Valkey ` +
      '(apt install redis-server; brew install redis; apk add redis; or the image redis:7-alpine)',
  ]
}

/** With any other policy jobs vanish when memory is short, and workers "complete" empty ones. */
function refusePolicy(policy: string | undefined, address: RedisAddress): readonly string[] {
  if (policy === undefined || policy === 'noeviction') return []
  return [
    `Redis at ${describeAddress(address)} has maxmemory-policy ${policy}: it would drop queued mail when memory is short. Run\n` +
      `  ${redisCliOf(address)} CONFIG SET maxmemory-policy noeviction\n` +
      'and put this line into redis.conf:\n  maxmemory-policy noeviction',
  ]
}

function refuseReplica(info: ReadonlyMap<string, string>, address: RedisAddress): readonly string[] {
  if (info.get('role') !== 'slave' || info.get('slave_read_only') === '0') return []
  const master = `${info.get('master_host') ?? '?'}:${info.get('master_port') ?? '?'}`
  return [`Redis at ${describeAddress(address)} is a read-only replica: point REDIS_URL at its primary, ${master}`]
}

function warnFill(fill: number, maxBytes: number): readonly string[] {
  if (fill < 0.6) return []
  const percent = Math.round(fill * 100)
  const rest = fill >= 0.75 ? 'new mail waits in the spool until there is room' : 'at 75 % new mail waits in the spool'
  return [`Redis uses ${percent} % of its maxmemory (${Math.round(maxBytes / 1048576)} MB); ${rest}`]
}

function warnPersistence(info: ReadonlyMap<string, string>): readonly string[] {
  if (info.get('aof_enabled') !== '0') return []
  return ['Redis runs without appendonly: after its restart the queues are rebuilt from the spool']
}
