import type { Configuration, SocketPlace } from '../config/model.ts'
import { listName, processFilterName, quotaStatusName } from './names.ts'
import { bucketEndsMs, readTallies } from './tally.ts'
import type { EngineCounts, LastAnswers } from './tally.ts'

/** What filters did over some time, by all processes. */
export interface FiltersView {
  readonly at: number
  readonly sinceAt: number
  /** Those of the configuration, and others that were asked in this time. */
  readonly engines: readonly EngineView[]
  /** One for each hour, or each day when it is more than two; without mail it is empty, not left out. */
  readonly mix: readonly { readonly at: number; readonly verdicts: Readonly<Record<string, number>> }[]
  /** Of SPF, DKIM, DMARC and ARC: how often each result. */
  readonly findings: readonly { readonly method: string; readonly results: Readonly<Record<string, number>> }[]
}

export interface EngineView {
  readonly name: string
  /** What it is and where: `virus scanner at 127.0.0.1:3310`; absent: it is not in the configuration any more. */
  readonly what?: string
  /** `failing`: its last answer was none. `silent`: it was not asked in this time. */
  readonly health: 'good' | 'failing' | 'silent'
  readonly last: LastAnswers
  readonly answers: number
  /** Without an answer, by status: failed, timeout, crashed. */
  readonly failures: Readonly<Record<string, number>>
  /** By class of time, see `bucketEndsMs`. */
  readonly buckets: readonly number[]
  /** Within so many ms came 50, 95 and 99 of 100; absent: nothing was asked. */
  readonly percentiles?: { readonly p50: number; readonly p95: number; readonly p99: number }
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const missing: ReadonlySet<string> = new Set(['failed', 'timeout', 'crashed'])

/** Of the last so many days, by the hours of UTC. @param days 1: by hour */
export async function viewFilters(
  dataFolder: string,
  configuration: Configuration,
  days: number,
  nowAt: number,
): Promise<FiltersView> {
  const stepMs = days > 2 ? dayMs : hourMs
  const steps = Math.round((days * dayMs) / stepMs)
  const sinceAt = Math.floor(nowAt / stepMs) * stepMs - (steps - 1) * stepMs
  const sum = new Sum(sinceAt, stepMs, steps)
  for (const { day, tally } of await readTallies(dataFolder, sinceAt)) {
    for (const [hour, counts] of Object.entries(tally.hours)) {
      const at = Date.parse(day) + Number(hour) * hourMs
      if (at < sinceAt || at > nowAt) continue
      for (const [name, one] of Object.entries(counts.engines)) sum.engine(name, one)
      sum.mail(at, counts.verdicts, counts.findings)
    }
    for (const [name, one] of Object.entries(tally.last)) sum.last(name, one)
  }
  return { at: nowAt, sinceAt, ...sum.view(configuredFilters(configuration)) }
}

interface Counted {
  readonly statuses: Map<string, number>
  readonly buckets: number[]
  last: LastAnswers
}

class Sum {
  readonly #engines = new Map<string, Counted>()
  readonly #mix: { readonly at: number; readonly verdicts: Map<string, number> }[]
  readonly #findings = new Map<string, Map<string, number>>()
  readonly #sinceAt: number
  readonly #stepMs: number

  constructor(sinceAt: number, stepMs: number, steps: number) {
    this.#sinceAt = sinceAt
    this.#stepMs = stepMs
    this.#mix = Array.from({ length: steps }, (_, step) => ({ at: sinceAt + step * stepMs, verdicts: new Map() }))
  }

  engine(name: string, { statuses, buckets }: EngineCounts): void {
    const known = this.#of(name)
    addAll(known.statuses, statuses)
    buckets.forEach((count, place) => {
      known.buckets[place] = (known.buckets[place] ?? 0) + count
    })
  }

  last(name: string, one: LastAnswers): void {
    const known = this.#of(name)
    const { okAt = 0, tookMs } = one
    const isLater = okAt > (known.last.okAt ?? 0)
    const failedLater = (one.failedAt ?? 0) > (known.last.failedAt ?? 0)
    const { failedAt, status, reason } = failedLater ? one : known.last
    known.last = {
      ...(isLater ? { okAt, ...(tookMs === undefined ? {} : { tookMs }) } : kept(known.last)),
      ...(failedAt === undefined ? {} : { failedAt, status: status ?? 'failed', reason: reason ?? '' }),
    }
  }

  mail(at: number, verdicts: Readonly<Record<string, number>>, findings: Readonly<Record<string, number>>): void {
    const step = this.#mix[Math.floor((at - this.#sinceAt) / this.#stepMs)]
    if (step !== undefined) addAll(step.verdicts, verdicts)
    for (const [finding, count] of Object.entries(findings)) {
      const [method = '', result = ''] = finding.split('=')
      const results = this.#findings.get(method) ?? new Map<string, number>()
      addAll(results, { [result]: count })
      this.#findings.set(method, results)
    }
  }

  view(configured: ReadonlyMap<string, string>): Pick<FiltersView, 'engines' | 'mix' | 'findings'> {
    const names = [...new Set([...configured.keys(), ...this.#engines.keys()])]
    return {
      engines: names.flatMap((name) => {
        const what = configured.get(name)
        const view = viewOf(name, what, this.#of(name))
        // Of what was taken out long ago nothing is told.
        return what === undefined && view.answers === 0 ? [] : [view]
      }),
      mix: this.#mix.map(({ at, verdicts }) => ({ at, verdicts: Object.fromEntries(verdicts) })),
      findings: ['spf', 'dkim', 'dmarc', 'arc'].flatMap((method) => {
        const results = this.#findings.get(method)
        return results === undefined ? [] : [{ method, results: Object.fromEntries(results) }]
      }),
    }
  }

  #of(name: string): Counted {
    const known = this.#engines.get(name)
    if (known !== undefined) return known
    const made: Counted = { statuses: new Map(), buckets: [...bucketEndsMs, 0].map(() => 0), last: {} }
    this.#engines.set(name, made)
    return made
  }
}

function kept({ okAt, tookMs }: LastAnswers): LastAnswers {
  return { ...(okAt === undefined ? {} : { okAt }), ...(tookMs === undefined ? {} : { tookMs }) }
}

function viewOf(name: string, what: string | undefined, { statuses, buckets, last }: Counted): EngineView {
  const answers = [...statuses.values()].reduce((total, count) => total + count, 0)
  const isFailing = (last.failedAt ?? 0) > (last.okAt ?? 0)
  const health = answers === 0 ? 'silent' : isFailing ? 'failing' : 'good'
  return {
    name,
    ...(what === undefined ? {} : { what }),
    health,
    last,
    answers,
    failures: Object.fromEntries([...statuses].filter(([status]) => missing.has(status))),
    buckets,
    ...(answers === 0
      ? {}
      : { percentiles: { p50: quantile(buckets, 0.5), p95: quantile(buckets, 0.95), p99: quantile(buckets, 0.99) } }),
  }
}

/** As Prometheus does it: evenly within a class; of the last class its lower end is told. */
export function quantile(buckets: readonly number[], share: number): number {
  const wanted = share * buckets.reduce((total, count) => total + count, 0)
  let before = 0
  for (const [place, count] of buckets.entries()) {
    const [from, to] = [bucketEndsMs[place - 1] ?? 0, bucketEndsMs[place]]
    if (before + count >= wanted && count > 0)
      return to === undefined ? from : from + ((to - from) * (wanted - before)) / count
    before += count
  }
  return 0
}

function addAll(into: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) into.set(name, (into.get(name) ?? 0) + count)
}

/** By the name that it is counted by. */
export function configuredFilters({ listeners, pipeline }: Configuration): ReadonlyMap<string, string> {
  const { spam, banned, virus, quotaStatus, restrictions } = pipeline
  const all: [string, string][] = [['authentication', 'SPF, DKIM, DMARC and ARC']]
  for (const engine of spam.engines) {
    switch (engine.kind) {
      case 'builtin':
        all.push(['gtube', 'test for unsolicited bulk mail'])
        if (engine.classifier) all.push(['classifier', 'words learned from spam and wanted mail'])
        break
      case 'spamscanner':
        all.push(['spamscanner', 'spamscanner, in this process'])
        break
      case 'rspamd':
        all.push(['rspamd', `Rspamd at ${engine.url}`])
        break
      case 'spamassassin':
        all.push(['spamassassin', `spamd at ${nameOf(engine.place)}`])
        break
    }
  }
  if (spam.lists.length > 0) all.push(['lists', 'all lists in DNS that count for the score'])
  const zones = [
    ...spam.lists.map(({ zone }) => zone),
    ...restrictions.flatMap(({ rule }) => (rule.kind === 'dnsbl' ? [rule.zone] : [])),
  ]
  for (const zone of new Set(zones)) all.push([listName(zone), 'a list in DNS'])
  if (banned !== undefined && banned.policies.length > 0) all.push(['banned', 'files that may not be attached'])
  if (virus !== undefined) all.push(['clamd', `virus scanner at ${nameOf(virus.clamd)}`])
  for (const { filters = [] } of listeners)
    for (const filter of filters)
      if (filter.kind === 'process') all.push([processFilterName(filter.process.name), filter.process.command])
  if (quotaStatus !== undefined) all.push([quotaStatusName, `policy service at ${nameOf(quotaStatus.place)}`])
  return new Map(all)
}

function nameOf(place: SocketPlace): string {
  return place.kind === 'unix' ? place.path : `${place.host}:${place.port}`
}
