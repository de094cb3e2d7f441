import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import { withinTime } from '../deadline.ts'
import type { Examination } from '../doctor/examination.ts'
import type { Finding } from '../doctor/finding.ts'
import { putFile } from '../start/put-file.ts'

/** The last look that was taken at a domain. */
export interface KeptExamination extends Examination {
  readonly at: number
  readonly tookMs: number
}

/** Looks at domains when asked to, and keeps what was seen last in `<data>/domains`, also over restarts. */
export interface Examinations {
  last(domain: string): Promise<KeptExamination | undefined>
  isRunning(domain: string): boolean
  /** One look at a domain at a time: who asks meanwhile waits for the same. @throws LateError, or what kept it from being kept */
  run(domain: string): Promise<KeptExamination>
  /** Breaks off what runs. */
  close(): Promise<void>
}

export interface ExaminationParts {
  readonly dataFolder: string
  readonly clock: Clock
  examine(domain: string, signal: AbortSignal): Promise<Examination>
}

/** Hosts that answer nothing cost ten seconds a step. */
const limitMs = 90_000

export function openExaminations({ dataFolder, clock, examine }: ExaminationParts): Examinations {
  const running = new Map<string, Promise<KeptExamination>>()
  const closing = new AbortController()

  async function look(domain: string): Promise<KeptExamination> {
    const at = clock.now()
    const seen = await withinTime(closing.signal, limitMs, 'the domain was not looked at', (signal) =>
      examine(domain, signal),
    )
    const kept = { at, tookMs: clock.now() - at, ...seen }
    await putFile(fileOf(dataFolder, domain), `${JSON.stringify(kept)}\n`, 0o600)
    return kept
  }

  return {
    last: (domain) => readKept(fileOf(dataFolder, domain)),
    isRunning: (domain) => running.has(domain),
    run(domain) {
      const known = running.get(domain)
      if (known !== undefined) return known
      const work = look(domain).finally(() => running.delete(domain))
      running.set(domain, work)
      return work
    },
    async close() {
      closing.abort()
      await Promise.allSettled(running.values())
    },
  }
}

/** Names of domains have no slash, and none is `..`. */
function fileOf(dataFolder: string, domain: string): string {
  return join(dataFolder, 'domains', `${encodeURIComponent(domain)}.json`)
}

/** Undefined also for what another version wrote. */
async function readKept(path: string): Promise<KeptExamination | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isKept(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isKept(value: unknown): value is KeptExamination {
  if (typeof value !== 'object' || value === null) return false
  const { at, tookMs, findings, addresses, publications } = value as Partial<Record<keyof KeptExamination, unknown>>
  if (typeof at !== 'number' || typeof tookMs !== 'number') return false
  const hasAddresses = Array.isArray(addresses) && addresses.every((one) => typeof one === 'string')
  const hasPublications = Array.isArray(publications) && publications.every(isPublication)
  return hasAddresses && hasPublications && Array.isArray(findings) && findings.every(isFinding)
}

function isPublication(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { name, kind } = value as Readonly<Record<string, unknown>>
  return typeof name === 'string' && typeof kind === 'string'
}

function isFinding(value: unknown): value is Finding {
  if (typeof value !== 'object' || value === null) return false
  const { check, verdict, text, publish } = value as Partial<Record<keyof Finding, unknown>>
  if (typeof check !== 'string' || typeof text !== 'string') return false
  return (
    ['good', 'wrong', 'absent', 'unknown'].includes(String(verdict)) && ['string', 'undefined'].includes(typeof publish)
  )
}
