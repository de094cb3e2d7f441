import { randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'

import type { Clock } from '../../shared/clock.ts'

export interface TicketKeyOptions {
  /** Shared by all inbound processes of one data folder; absent: the key of this process alone. */
  readonly path?: string
  readonly clock: Clock
  /** Told when the file cannot be used: sessions are then resumed by the process that began them only. */
  readonly onWarning: (message: string) => void
}

/** After so long a new one: who finds it can read what was said in sessions of TLS 1.2 that it resumed. */
const lifeMs = 12 * 3_600_000
const keyOctets = 48

/** The key that tickets of TLS sessions are sealed with (RFC 5077), in a file of its own and never older than half a day. */
export class TicketKeys {
  readonly #options: TicketKeyOptions
  #key: Buffer = randomBytes(keyOctets)
  #madeAt: number
  #warned = false

  constructor(options: TicketKeyOptions) {
    this.#options = options
    this.#madeAt = options.clock.now()
  }

  get current(): Buffer {
    return this.#key
  }

  /** Takes the key of the file, or makes a new one when that is too old. Never fails. */
  async refresh(): Promise<void> {
    const { path, clock, onWarning } = this.#options
    try {
      const now = clock.now()
      const found = path === undefined ? { key: this.#key, madeAt: this.#madeAt } : await readKey(path)
      const fresh = found !== undefined && Math.abs(now - found.madeAt) < lifeMs
      if (fresh) return this.#take(found)
      this.#take({ key: randomBytes(keyOctets), madeAt: now })
      if (path === undefined) return
      await writeKey(path, this.#key, now)
      // Another process may have written at the same time: the last one counts for all.
      const written = await readKey(path)
      if (written !== undefined) this.#take(written)
    } catch (error) {
      if (!this.#warned) onWarning(`the key of session tickets is not shared: ${(error as Error).message}`)
      this.#warned = true
    }
  }

  #take({ key, madeAt }: KeyOnDisk): void {
    this.#key = key
    this.#madeAt = madeAt
  }
}

interface KeyOnDisk {
  readonly key: Buffer
  /** Epoch ms. */
  readonly madeAt: number
}

/** Undefined: there is none, or what is there is no key. */
async function readKey(path: string): Promise<KeyOnDisk | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const [, madeAt, encoded = ''] = /^(\d{1,15}) ([A-Za-z0-9+/]{64})\n$/.exec(text) ?? []
  return madeAt === undefined ? undefined : { key: Buffer.from(encoded, 'base64'), madeAt: Number(madeAt) }
}

async function writeKey(path: string, key: Buffer, madeAt: number): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  await writeFile(temporary, `${madeAt} ${key.toString('base64')}\n`, { mode: 0o600 })
  await rename(temporary, path)
}
