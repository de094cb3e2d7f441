import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { parsePolicy } from './policy.ts'
import type { StsPolicy } from './policy.ts'

/** A policy that was fetched. */
export interface KeptPolicy {
  /** What the domain announced then. */
  readonly id: string
  readonly policy: StsPolicy
  /** Epoch ms. */
  readonly fetchedAt: number
  readonly expiresAt: number
}

/** A policy that holds for less is not fetched again for each message. */
const shortestAgeMs = 300_000

/** @throws PolicyFault */
export function keptPolicy(id: string, text: string, fetchedAt: number): KeptPolicy {
  const policy = parsePolicy(text)
  return { id, policy, fetchedAt, expiresAt: fetchedAt + Math.max(policy.maxAgeMs, shortestAgeMs) }
}

/**
 * Policies on disk, one file for a domain, so that they outlive the process and all relays of this host share them: who can
 * suppress DNS or HTTPS for a moment must not make us forget one (RFC 8461 §10.2).
 */
export class PolicyFiles {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Undefined when there is none that holds, or it cannot be read. */
  async read(domain: string, nowAt: number): Promise<KeptPolicy | undefined> {
    const path = this.#path(domain)
    return path === undefined ? undefined : readPolicy(path, nowAt)
  }

  /** Whole or not at all. @throws Error of the disk */
  async write(domain: string, { id, fetchedAt }: Pick<KeptPolicy, 'id' | 'fetchedAt'>, text: string): Promise<void> {
    const path = this.#path(domain)
    if (path === undefined) return
    await mkdir(this.#folder, { recursive: true })
    const part = `${path}.${process.pid}.part`
    await writeFile(part, JSON.stringify({ id, fetchedAt, text }))
    await rename(part, path)
  }

  /** Removes what does not hold any more. */
  async sweep(nowAt: number): Promise<void> {
    const names = await readdir(this.#folder).catch(() => [])
    for (const name of names) {
      if (!name.endsWith('.json')) continue
      const path = join(this.#folder, name)
      if ((await readPolicy(path, nowAt)) === undefined) await rm(path, { force: true })
    }
  }

  /** Undefined for what is no domain, or too long for the name of a file. */
  #path(domain: string): string | undefined {
    return /^[a-z0-9_-][a-z0-9_.-]{0,239}$/.test(domain) ? join(this.#folder, `${domain}.json`) : undefined
  }
}

async function readPolicy(path: string, nowAt: number): Promise<KeptPolicy | undefined> {
  try {
    const kept: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (typeof kept !== 'object' || kept === null) return undefined
    const { id, fetchedAt, text } = kept as Readonly<Record<string, unknown>>
    if (typeof id !== 'string' || typeof fetchedAt !== 'number' || typeof text !== 'string') return undefined
    const policy = keptPolicy(id, text, fetchedAt)
    return policy.expiresAt > nowAt ? policy : undefined
  } catch {
    return undefined
  }
}
