import { createHash } from 'node:crypto'

import type { Redis } from 'ioredis'

import type { Producer } from './producer.ts'
import { reach } from './unavailable.ts'

/** Who tried to send what to whom. */
export interface GreylistAttempt {
  /** Of the client: what counts as one sender of mail. */
  readonly network: string
  readonly sender: string
  readonly recipient: string
}

export interface GreylistTimes {
  /** From the first attempt until one is let in. */
  readonly delayMs: number
  /** From the first attempt until it is forgotten, when no other came. */
  readonly retryMs: number
  /** From the last mail of a network that was let in until it is a stranger again. */
  readonly keepMs: number
}

/** The memory of greylisting, which all processes share. Bounded by time; a Redis that is nearly full remembers nothing new. */
export interface Greylist {
  /**
   * How long the client has to wait; 0: it may send, it came back in time or its network did before.
   * @throws QueueUnavailableError: nobody knows now
   */
  waitMs(attempt: GreylistAttempt, times: GreylistTimes): Promise<number>
}

const script = `
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return 0
end
local first = redis.call('GET', KEYS[2])
if not first then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
  return tonumber(ARGV[2])
end
local left = first + ARGV[2] - ARGV[1]
if left > 0 then return left end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[4])
redis.call('DEL', KEYS[2])
return 0`

export function openGreylist(
  producer: Producer,
  prefix: string,
  surroundings: { readonly tooFull: () => boolean; readonly now?: () => number },
): Greylist {
  const { tooFull, now = Date.now } = surroundings
  const call = scriptCaller(producer.redis)
  return {
    waitMs: ({ network, sender, recipient }, { delayMs, retryMs, keepMs }) =>
      reach(async () => {
        await producer.ready()
        if (tooFull()) return 0
        const known = `${prefix}:@greylist:client:${network}`
        const tried = `${prefix}:@greylist:tried:${digest(network, sender, recipient)}`
        return Number(await call(known, tried, now(), delayMs, retryMs, keepMs))
      }),
  }
}

/** Keys of one length, whatever clients say. */
function digest(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('base64url').slice(0, 24)
}

type ScriptCaller = (...words: readonly (string | number)[]) => Promise<unknown>

/** ioredis sends a script once and its hash from then on. */
function scriptCaller(redis: Redis): ScriptCaller {
  redis.defineCommand('sluiceGreylist', { lua: script, numberOfKeys: 2 })
  const commands = redis as unknown as { readonly sluiceGreylist: ScriptCaller }
  return (...words) => commands.sluiceGreylist(...words)
}
