import { clientOf } from '../../shared/client-of.ts'
import { isChosen } from '../../shared/config/listener-choice.ts'
import type { Configuration, Listener, Position, Table } from '../../shared/config/model.ts'
import type { BanRule, Offence, RateRule, RateUnit } from '../../shared/config/rate-rules.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { Events } from '../../shared/events.ts'
import type { Logger } from '../../shared/log.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { isLoopbackAddress } from './admission.ts'
import type { BanList } from './ban-list.ts'
import type { Tally } from './tally.ts'

/** Who does something. */
export interface Doer {
  readonly session: string
  readonly address: string
  readonly user?: string | undefined
}

/** Too much, by the rule at `by`. */
export interface TooMuch {
  readonly reply: Reply
  /** file:line */
  readonly by: string
}

/** Counts what the clients and users of one listener do: `rate` and `ban` of pipeline.conf. */
export interface ClientWatch {
  /** Counts one more; or says why it is too much, and counts nothing. The function takes it back. */
  take(unit: RateUnit, doer: Doer): TooMuch | (() => void)
  /** True when the client is banned now. */
  offence(offence: Offence, doer: Doer): boolean
}

export interface WatchParts {
  readonly tally: Tally
  readonly bans: BanList
  readonly tables: Pick<TableSet, 'matchesAddress' | 'contains'>
  readonly events: Pick<Events, 'rateExceeded' | 'banned'>
  readonly log: Logger
  readonly now: () => number
}

/** Undefined: nothing is said of this listener, and nothing is counted. */
export function createWatch(
  listener: Listener,
  { pipeline }: Configuration,
  name: string,
  parts: WatchParts,
): ClientWatch | undefined {
  const rates = pipeline.rates.filter((rule) => isChosen(rule.for, listener))
  const bans = pipeline.bans.filter((rule) => isChosen(rule.for, listener))
  return rates.length + bans.length === 0 ? undefined : new ListenerWatch(rates, bans, name, parts)
}

class ListenerWatch implements ClientWatch {
  readonly #rates: readonly RateRule[]
  readonly #bans: readonly BanRule[]
  readonly #name: string
  readonly #parts: WatchParts
  /** Told once, until it is over. */
  readonly #told = new Set<string>()

  constructor(rates: readonly RateRule[], bans: readonly BanRule[], name: string, parts: WatchParts) {
    this.#rates = rates
    this.#bans = bans
    this.#name = name
    this.#parts = parts
  }

  take(unit: RateUnit, doer: Doer): TooMuch | (() => void) {
    const { tally } = this.#parts
    const counted: { readonly key: string; readonly periodMs: number }[] = []
    for (const rule of this.#rates) {
      const who = rule.unit === unit ? this.#whoOf(rule, doer) : undefined
      if (who === undefined) continue
      const key = `rate ${rule.count}/${rule.periodMs} ${unit} ${scopeOf(rule)} ${rule.per} ${who}`
      if (tally.of(key, rule.periodMs) + 1 > rule.count) {
        this.#tellOnce(key, rule, doer)
        return { reply: tooMuch[unit][rule.per], by: placeOf(rule.at) }
      }
      this.#told.delete(key)
      counted.push({ key, periodMs: rule.periodMs })
    }
    for (const { key, periodMs } of counted) tally.add(key, periodMs)
    return () => {
      for (const { key, periodMs } of counted.splice(0)) tally.add(key, periodMs, -1)
    }
  }

  offence(offence: Offence, doer: Doer): boolean {
    const { tally, bans } = this.#parts
    const client = clientOf(doer.address)
    for (const rule of this.#bans) {
      if (rule.offence !== offence || isLoopbackAddress(doer.address)) continue
      if (rule.except !== undefined && this.#isIn(rule.except, doer.address)) continue
      const key = `ban ${rule.count}/${rule.periodMs} ${offence} ${scopeOf(rule)} ${client}`
      if (tally.add(key, rule.periodMs) >= rule.count && !bans.has(doer.address)) this.#ban(rule, client, doer)
    }
    return bans.has(doer.address)
  }

  #ban(rule: BanRule, client: string, { session, address }: Doer): void {
    const { bans, events, now } = this.#parts
    const since = now()
    const until = since + rule.durationMs
    bans.add({ client, since, until, reason: `${rule.count} ${rule.offence} (${placeOf(rule.at)})` })
    events.banned({
      session,
      listener: this.#name,
      address,
      client,
      offence: rule.offence,
      rule: placeOf(rule.at),
      until,
    })
  }

  #whoOf({ per, except }: RateRule, { address, user }: Doer): string | undefined {
    if (per === 'client') return except !== undefined && this.#isIn(except, address) ? undefined : clientOf(address)
    if (user === undefined) return undefined
    return except !== undefined && this.#parts.tables.contains(except, user) ? undefined : user.toLowerCase()
  }

  /** A table that cannot be read excepts nobody, and is told in the log. */
  #isIn(table: Table, address: string): boolean {
    try {
      return this.#parts.tables.matchesAddress(table, address)
    } catch (error) {
      this.#parts.log.error({ err: error, table: table.name }, 'the exceptions cannot be read')
      return false
    }
  }

  #tellOnce(key: string, rule: RateRule, { session, address, user }: Doer): void {
    if (this.#told.has(key)) return
    if (this.#told.size >= 10_000) this.#told.clear()
    this.#told.add(key)
    const { at, count, unit } = rule
    this.#parts.events.rateExceeded({ session, listener: this.#name, address, user, rule: placeOf(at), count, unit })
  }
}

/** Rules for different listeners count apart; those for all count over all. */
function scopeOf(rule: RateRule | BanRule): string {
  return rule.for === undefined ? '*' : JSON.stringify(rule.for)
}

function placeOf({ file, line }: Position): string {
  return `${file}:${line}`
}

const tooMuch: Readonly<Record<RateUnit, Readonly<Record<RateRule['per'], Reply>>>> = {
  connections: {
    client: { code: 421, enhanced: '4.7.0', text: 'Too many new connections from your address, try again later' },
    user: { code: 421, enhanced: '4.7.0', text: 'Too many new connections, try again later' },
  },
  messages: {
    client: { code: 450, enhanced: '4.7.1', text: 'Too many messages from your address, try again later' },
    user: { code: 450, enhanced: '4.7.1', text: 'You have sent too many messages, try again later' },
  },
  recipients: {
    client: { code: 450, enhanced: '4.7.1', text: 'Too many recipients from your address, try again later' },
    user: { code: 450, enhanced: '4.7.1', text: 'You have sent to too many recipients, try again later' },
  },
}

/** At connect, for a client of the ban list. */
export const banned: Reply = {
  code: 421,
  enhanced: '4.7.0',
  text: 'Too many errors from your address, try again later',
}
