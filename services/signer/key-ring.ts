import { readFile, stat } from 'node:fs/promises'

import type { Clock } from '../../shared/clock.ts'
import type { DkimKey } from '../../shared/config/model.ts'
import { readPrivateKey } from '../../shared/dkim/private-key.ts'
import { parseCanonicalization } from '../../shared/dkim/sign.ts'
import type { SigningOptions } from '../../shared/dkim/sign.ts'
import type { Logger } from '../../shared/log.ts'

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
}): KeyRing {
  const { clock, log } = parts
  const slots = parts.entries.map((entry) => new KeySlot(entry, log))
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
  for (const { entry, state } of slots) {
    if (typeof state === 'string') return { kind: 'unusable', reason: state }
    keys.push({
      domain: entry.domain === '*' ? domain : entry.domain.toLowerCase(),
      selector: entry.selector,
      ...state,
      ...(entry.expireMs === undefined ? {} : { expireMs: entry.expireMs }),
    })
  }
  return { kind: 'keys', keys }
}

type Loaded = Pick<SigningOptions, 'key' | 'header' | 'body'>

/** One line of pipeline.conf with its key, or with the sentence that says why there is none. */
class KeySlot {
  readonly entry: DkimKey
  readonly #log: Logger
  #version = ''
  #state: Loaded | string

  constructor(entry: DkimKey, log: Logger) {
    this.entry = entry
    this.#log = log
    this.#state = `DKIM key ${entry.keyFile} was not read yet`
  }

  get state(): Loaded | string {
    return this.#state
  }

  /** Reads the file when it is another than before; a broken one is tried again each time. */
  async refresh(): Promise<void> {
    const { keyFile } = this.entry
    try {
      const { ino, mtimeMs, size, mode } = await stat(keyFile)
      const version = `${ino} ${mtimeMs} ${size}`
      if (version === this.#version) return
      const form = parseCanonicalization(this.entry.canonicalization)
      this.#state = { key: readPrivateKey(await readFile(keyFile, 'utf8')), ...form }
      this.#version = version
      if ((mode & 0o077) !== 0) this.#log.warn({ keyFile }, 'DKIM key can be read by others: chmod 600')
    } catch (error) {
      const trouble = `DKIM key ${keyFile} for ${this.entry.domain}: ${(error as Error).message}`
      if (this.#state !== trouble) this.#log.error({ keyFile }, trouble)
      this.#state = trouble
      this.#version = ''
    }
  }
}
