import { now } from './lane-scripts.ts'
import type { CallScript } from './lane-scripts.ts'

/**
 * Lua: `addName` and `removeName` of a set that all processes share, KEYS of its scores being the epoch ms at which a name is forgotten.
 * Each change of it leaves a mark, so that who knows it already is not told all names again. They need `now`.
 */
export const nameChanges = `
local function changed(index)
  local time = redis.call('TIME')
  redis.call('SET', index .. ':changed', time[1] .. '.' .. time[2])
end
local function addName(index, name, endsAt)
  if redis.call('ZADD', index, endsAt, name) == 1 then changed(index) end
end
local function removeName(index, name)
  if redis.call('ZREM', index, name) == 1 then changed(index) end
end
`

/** Reads the set: KEYS[1], and the mark of the last reading. */
export const readNames = {
  keys: 1,
  lua: `${now}${nameChanges}
if redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now) > 0 then changed(KEYS[1]) end
local mark = redis.call('GET', KEYS[1] .. ':changed') or ''
if mark == ARGV[1] then return {mark} end
return {mark, redis.call('ZRANGE', KEYS[1], 0, -1)}`,
}

type NamesAnswer = readonly [mark: string, names?: readonly string[]]

/** What this process knows of such a set; read again when it is asked for and what is known is too old. */
export class KnownNames {
  readonly #read: (mark: string) => Promise<NamesAnswer>
  readonly #readAgainMs: number
  #names = new Set<string>()
  #mark = 'never read'
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined

  /** @param call of a script caller that has `readNames` under this name */
  constructor(call: CallScript<'sluiceNames'>, index: string, readAgainMs: number) {
    this.#read = async (mark) => (await call('sluiceNames', index, mark)) as NamesAnswer
    this.#readAgainMs = readAgainMs
  }

  /** @throws QueueUnavailableError */
  async has(name: string): Promise<boolean> {
    if (performance.now() - this.#readAt >= this.#readAgainMs) {
      this.#reading ??= this.#refresh().finally(() => {
        this.#reading = undefined
      })
      await this.#reading
    }
    return this.had(name)
  }

  /** By the last reading. */
  had(name: string): boolean {
    return this.#names.has(name)
  }

  /** Known here from now on, before the next reading; a name that was not known is so again when the call that adds it fails. */
  async add<Answer>(name: string, call: () => Promise<Answer>): Promise<Answer> {
    const isNew = !this.#names.has(name)
    this.#names.add(name)
    try {
      const answer = await call()
      // A reading that began before the call has not seen it.
      this.#names.add(name)
      return answer
    } catch (error) {
      if (isNew) this.#names.delete(name)
      throw error
    }
  }

  remove(name: string): void {
    this.#names.delete(name)
  }

  async #refresh(): Promise<void> {
    const [mark, names] = await this.#read(this.#mark)
    if (names !== undefined) this.#names = new Set(names)
    this.#mark = mark
    this.#readAt = performance.now()
  }
}
