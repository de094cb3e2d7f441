import { readFile, stat } from 'node:fs/promises'

import type { Clock } from '../../shared/clock.ts'
import type { DkimKey } from '../../shared/config/model.ts'
import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import { readPrivateKey } from '../../shared/dkim/private-key.ts'
import { publicationOf } from '../../shared/dkim/publication.ts'
import { parseCanonicalization } from '../../shared/dkim/sign.ts'
import type { SigningOptions } from '../../shared/dkim/sign.ts'
import { keyInUse, readSuccessors, withSuccessors, writeSuccessors } from '../../shared/dkim/successors.ts'
import type { Successor } from '../../shared/dkim/successors.ts'
import type { Logger } from '../../shared/log.ts'
import type { Resolver } from '../../shared/resolver.ts'

/** A key that may sign now, for one domain. */
export type SigningKey = Pick<SigningOptions, 'domain' | 'selector' | 'key' | 'header' | 'body'> & {
  readonly expireMs?: number
}

export type KeyChoice =
  | { readonly kind: 'keys'; readonly keys: readonly SigningKey[] }
  /** No key is configured for the domain. */
  | { readonly kind: 'none' }
  /** A key is configured and cannot be used now. */
  | { readonly kind: 'unusable'; readonly reason: string }

/** The keys of pipeline.conf, read once and again when a file changes; what was parsed is kept. */
export interface KeyRing {
  /**
   * The keys that sign for the first of `domains` that has any: those of the longest configured domain it equals or lies
   * below, else those of `*`, which sign for the domain itself.
   */
  choose(domains: readonly string[]): Promise<KeyChoice>
  /** Keys that cannot be used now, one sentence each. */
  trouble(): Promise<readonly string[]>
}

const lookAgainMs = 1_000

export function createKeyRing(parts: {
  readonly entries: readonly DkimKey[]
  readonly log: Logger
  readonly clock: Clock
  readonly resolver: Pick<Resolver, 'txt'>
}): KeyRing {
  const { clock } = parts
  const slots = parts.entries.map((entry) => new KeySlot(entry, parts))
  let lookedAt = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined

  /** One look at the files for all who ask at the same time; nobody waits for it but the first ones. */
  async function lookAtFiles(): Promise<void> {
    if (clock.now() - lookedAt < lookAgainMs) return
    looking ??= Promise.all(slots.map((slot) => slot.refresh())).then(() => {
      lookedAt = clock.now()
      looking = undefined
    })
    await looking
  }

  return {
    async choose(domains) {
      await lookAtFiles()
      for (const domain of domains) {
        const chosen = longestMatch(slots, domain)
        if (chosen.length > 0) return choiceOf(chosen, domain)
      }
      return { kind: 'none' }
    },
    async trouble() {
      await lookAtFiles()
      return slots.flatMap(({ state }) => (typeof state === 'string' ? [state] : []))
    },
  }
}

function longestMatch(slots: readonly KeySlot[], domain: string): readonly KeySlot[] {
  let best: readonly KeySlot[] = slots.filter(({ entry }) => entry.domain === '*')
  let length = 0
  for (const slot of slots) {
    const configured = slot.entry.domain.toLowerCase()
    if (domain !== configured && !domain.endsWith(`.${configured}`)) continue
    if (configured.length === length) best = [...best, slot]
    if (configured.length > length) best = [slot]
    length = Math.max(length, configured.length)
  }
  return best
}

function choiceOf(slots: readonly KeySlot[], domain: string): KeyChoice {
  const keys: SigningKey[] = []
  for (const { entry, selector, state } of slots) {
    if (typeof state === 'string') return { kind: 'unusable', reason: state }
    keys.push({
      domain: entry.domain === '*' ? domain : entry.domain.toLowerCase(),
      selector,
      ...state,
      ...(entry.expireMs === undefined ? {} : { expireMs: entry.expireMs }),
    })
  }
  return { kind: 'keys', keys }
}

type Loaded = Pick<SigningOptions, 'key' | 'header' | 'body'>

interface SlotParts {
  readonly log: Logger
  readonly clock: Clock
  readonly resolver: Pick<Resolver, 'txt'>
}

/** How often the DNS is asked for the record of a key that waits for it. */
const askAgainMs = 60_000

/** One line of pipeline.conf with the key that signs for it, or with the sentence that says why there is none. */
class KeySlot {
  readonly entry: DkimKey
  readonly #parts: SlotParts
  #version = ''
  #state: Loaded | string
  #selector: string
  /** Selectors whose records were seen. */
  readonly #seen = new Set<string>()
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(entry: DkimKey, parts: SlotParts) {
    this.entry = entry
    this.#parts = parts
    this.#selector = entry.selector
    this.#state = `DKIM key ${entry.keyFile} was not read yet`
  }

  get state(): Loaded | string {
    return this.#state
  }

  /** Of the key that signs: another than in pipeline.conf when it has a successor. */
  get selector(): string {
    return this.#selector
  }

  /** Reads the file when it is another than before; a broken one is tried again each time. */
  async refresh(): Promise<void> {
    let { keyFile } = this.entry
    try {
      const known = await this.#successors()
      const used = keyInUse(this.entry, known)
      keyFile = used.keyFile
      const { ino, mtimeMs, size, mode } = await stat(keyFile)
      const version = `${used.selector} ${ino} ${mtimeMs} ${size}`
      if (version === this.#version) return
      const form = parseCanonicalization(this.entry.canonicalization)
      this.#state = { key: readPrivateKey(await readFile(keyFile, 'utf8')), ...form }
      this.#selector = used.selector
      this.#version = version
      if ((mode & 0o077) !== 0) this.#parts.log.warn({ keyFile }, 'DKIM key can be read by others: chmod 600')
    } catch (error) {
      const trouble = `DKIM key ${keyFile} for ${this.entry.domain}: ${(error as Error).message}`
      if (this.#state !== trouble) this.#parts.log.error({ keyFile }, trouble)
      this.#state = trouble
      this.#version = ''
    }
  }

  /** With what this process has seen itself. The DNS is asked aside: nobody's mail waits for it. */
  async #successors(): Promise<readonly Successor[]> {
    const { clock, log } = this.#parts
    const successors = await readSuccessors(this.entry)
    const last = successors.at(-1)
    if (last === undefined || last.visibleAt !== undefined) return successors
    const nowAt = clock.now()
    if (this.#seen.has(last.selector)) return seenBy(successors, last.selector, nowAt)
    if (nowAt - this.#askedAt >= askAgainMs) {
      this.#askedAt = nowAt
      this.#look(last).catch((error: unknown) =>
        log.warn({ err: error, keyFile: last.keyFile }, 'a new DKIM key cannot be looked after'),
      )
    }
    return successors
  }

  /** A key whose record is there signs from now on, and that is written down for the others, and for the next start. */
  async #look(last: Successor): Promise<void> {
    const { clock, log, resolver } = this.#parts
    const domain = this.entry.domain.toLowerCase()
    const record = dkimRecord(await readFile(last.keyFile, 'utf8'), last.selector, domain)
    if ((await publicationOf(record, resolver)).kind !== 'published') return
    this.#seen.add(last.selector)
    log.info({ domain, selector: last.selector }, 'the record of the new DKIM key is there: it signs from now on')
    // Read again: while the DNS was asked another signer may have seen it, and a next key may have been made.
    await withSuccessors(this.entry, (successors) =>
      writeSuccessors(this.entry, seenBy(successors, last.selector, clock.now())),
    )
  }
}

function seenBy(successors: readonly Successor[], selector: string, nowAt: number): readonly Successor[] {
  return successors.map((one) => (one.selector === selector ? { visibleAt: nowAt, ...one } : one))
}
