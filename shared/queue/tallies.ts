import type { Producer } from './producer.ts'
import { reach } from './unavailable.ts'

/** Numbers that all processes count up together; forgotten when their time is over, or Redis is emptied. */
export interface Tallies {
  /** Adds to each and gives what it is then, in their order; 0 only asks. Rejects with QueueUnavailableError while Redis is away. */
  merge(additions: readonly Addition[]): Promise<readonly number[]>
}

export interface Addition {
  readonly key: string
  readonly amount: number
  /** From its first addition on. */
  readonly keepMs: number
}

const script = `
local totals = {}
for i, key in ipairs(KEYS) do
  local amount = tonumber(ARGV[2 * i - 1])
  if amount == 0 then
    totals[i] = tonumber(redis.call('GET', key) or '0')
  else
    totals[i] = redis.call('INCRBY', key, amount)
    if totals[i] == amount then redis.call('PEXPIRE', key, ARGV[2 * i]) end
  end
end
return totals`

const keysAtOnce = 500

export function openTallies(producer: Producer, prefix: string): Tallies {
  producer.redis.defineCommand('sluiceTally', { lua: script })
  const { sluiceTally } = producer.redis as unknown as { sluiceTally: Run }
  const run: Run = sluiceTally.bind(producer.redis)
  return {
    merge: (additions) =>
      reach(async () => {
        await producer.ready()
        const totals: number[] = []
        for (let at = 0; at < additions.length; at += keysAtOnce) {
          const some = additions.slice(at, at + keysAtOnce)
          const keys = some.map(({ key }) => `${prefix}:@tally:${key}`)
          const words = some.flatMap(({ amount, keepMs }) => [amount, keepMs])
          totals.push(...(await run(keys.length, ...keys, ...words)))
        }
        return totals
      }),
  }
}

type Run = (...words: readonly (string | number)[]) => Promise<readonly number[]>
