import { setMaxListeners } from 'node:events'

import { certificateFault } from '../certificate-fault.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Resolver } from '../resolver.ts'
import { fetchPolicyText } from './fetch-policy.ts'
import { PolicyFault } from './policy.ts'
import type { StsPolicy } from './policy.ts'
import { keptPolicy, PolicyFiles } from './policy-files.ts'
import type { KeptPolicy } from './policy-files.ts'
import { announcedId } from './record.ts'

export interface StsPoliciesOptions {
  /** Where policies are kept. */
  readonly folder: string
  readonly clock: Clock
  readonly log: Logger
}

/** How a domain is asked for its policy. */
export interface StsLookUp {
  readonly resolver: Pick<Resolver, 'txt' | 'a' | 'aaaa'>
  /** Of policy hosts; 443 but in tests. */
  readonly port: number
  /** PEM: authorities that policy hosts are checked with; absent: those that come with Node. */
  readonly ca?: string
}

interface Known {
  kept: KeptPolicy | undefined
  /** Epoch ms: when the disk may be asked again for a policy that we do not have. */
  diskAt: number
  /** Epoch ms: when a fetch that failed may be repeated, for the same id. */
  fetchAt: number
  failedId: string | undefined
  trouble?: StsTrouble | undefined
}

/** Why a policy that a domain announces is not there. */
export interface StsTrouble {
  /** `certificate`: that of the policy host. */
  readonly kind: 'fetch' | 'invalid' | 'certificate'
  readonly reason: string
}

/** RFC 8461 §3.3 asks for five minutes at least between attempts. */
const retryMs = 300_000
const refreshMs = 86_400_000
const maxRemembered = 10_000

/** The MTA-STS policies of the domains that mail goes to (RFC 8461): found, fetched, kept for as long as they hold. */
export class StsPolicies {
  readonly #options: StsPoliciesOptions
  readonly #files: PolicyFiles
  readonly #known = new Map<string, Known>()
  readonly #fetching = new Map<string, Promise<void>>()
  readonly #stopped = new AbortController()

  constructor(options: StsPoliciesOptions) {
    // Each fetch on its way listens.
    setMaxListeners(0, this.#stopped.signal)
    this.#options = options
    this.#files = new PolicyFiles(options.folder)
  }

  /**
   * The policy that holds for a domain now; undefined when it asks for nothing. A policy that we have holds until its end, whatever
   * becomes of the record and of the policy host in the meantime, unless a new one takes its place. Never rejects.
   * @param domain in lower case and A-labels
   */
  async of(domain: string, lookUp: StsLookUp): Promise<StsPolicy | undefined> {
    const answer = await lookUp.resolver.txt(`_mta-sts.${domain}`)
    const id = answer.kind === 'found' ? announcedId(answer.records) : undefined
    const known = this.#of(domain)
    await this.#takeFromDisk(domain, id, known)
    if (id !== undefined && id !== known.kept?.id) await this.#fetchInTurn(domain, id, known, lookUp)
    else if (id !== undefined) this.#refresh(domain, id, known, lookUp)
    if (id === undefined) known.trouble = undefined
    const policy = known.kept?.policy
    return policy?.mode === 'none' ? undefined : policy
  }

  /** Of a domain that was asked for just now: why we have no policy of it, although it announces one. */
  troubleOf(domain: string): StsTrouble | undefined {
    const known = this.#known.get(domain)
    return known?.kept === undefined ? known?.trouble : undefined
  }

  /** Removes files of policies that do not hold any more. */
  sweep(): Promise<void> {
    return this.#files.sweep(this.#options.clock.now())
  }

  /** Breaks off what is being fetched. */
  async close(): Promise<void> {
    this.#stopped.abort()
    await Promise.all(this.#fetching.values())
  }

  #of(domain: string): Known {
    const nowAt = this.#options.clock.now()
    const known = this.#known.get(domain) ?? { kept: undefined, diskAt: 0, fetchAt: 0, failedId: undefined }
    if (known.kept !== undefined && known.kept.expiresAt <= nowAt) known.kept = undefined
    // The one asked for last is forgotten last.
    this.#known.delete(domain)
    this.#known.set(domain, known)
    const [oldest] = this.#known.keys()
    if (this.#known.size > maxRemembered && oldest !== undefined) this.#known.delete(oldest)
    return known
  }

  /** Another process, or we before a restart, may have it already. */
  async #takeFromDisk(domain: string, id: string | undefined, known: Known): Promise<void> {
    const nowAt = this.#options.clock.now()
    const wanted = id === undefined ? known.kept === undefined : known.kept?.id !== id
    if (!wanted || nowAt < known.diskAt) return
    known.diskAt = nowAt + retryMs
    const found = await this.#files.read(domain, nowAt)
    if (found !== undefined && (known.kept === undefined || found.fetchedAt > known.kept.fetchedAt)) known.kept = found
  }

  /** One that we have is fetched again each day, while mail goes on (RFC 8461 §3.3: before it ends). */
  #refresh(domain: string, id: string, known: Known, lookUp: StsLookUp): void {
    const { kept } = known
    if (kept === undefined) return
    const ageMs = this.#options.clock.now() - kept.fetchedAt
    if (ageMs > Math.min(refreshMs, (kept.expiresAt - kept.fetchedAt) / 2))
      void this.#fetchInTurn(domain, id, known, lookUp)
  }

  #fetchInTurn(domain: string, id: string, known: Known, lookUp: StsLookUp): Promise<void> {
    if (known.failedId === id && this.#options.clock.now() < known.fetchAt) return Promise.resolve()
    const fetching = this.#fetching.get(domain)
    if (fetching !== undefined) return fetching
    const started = this.#fetch(domain, id, known, lookUp).finally(() => this.#fetching.delete(domain))
    this.#fetching.set(domain, started)
    return started
  }

  async #fetch(domain: string, id: string, known: Known, lookUp: StsLookUp): Promise<void> {
    const { clock, log } = this.#options
    const { signal } = this.#stopped
    try {
      const text = await fetchPolicyText(domain, { ...lookUp, signal })
      const kept = keptPolicy(id, text, clock.now())
      known.kept = kept
      known.failedId = undefined
      known.trouble = undefined
      await this.#files.write(domain, kept, text).catch((error: unknown) => {
        log.warn({ domain, error: String(error) }, 'an MTA-STS policy was not kept on disk')
      })
    } catch (error) {
      known.failedId = id
      known.trouble = troubleOf(error)
      known.fetchAt = clock.now() + retryMs
      if (!signal.aborted) log.warn({ domain, id, error: String(error) }, 'an MTA-STS policy could not be fetched')
    }
  }
}

function troubleOf(error: unknown): StsTrouble {
  const reason = error instanceof Error ? error.message : String(error)
  if (error instanceof PolicyFault) return { kind: 'invalid', reason }
  return { kind: certificateFault(error) === undefined ? 'fetch' : 'certificate', reason }
}
