import { clientOf } from '../../shared/client-of.ts'

/**
 * Clients that waited for the greeting lately. Only a client that is not known is made to wait for it, so that early talkers
 * are found out and nobody else pays for it (RFC 5321 §4.3.1).
 */
export class KnownClients {
  readonly #rememberMs: number
  readonly #maxClients: number
  readonly #known = new Map<string, number>()

  constructor(rememberMs = 3_600_000, maxClients = 100_000) {
    this.#rememberMs = rememberMs
    this.#maxClients = maxClients
  }

  has(address: string, now: number): boolean {
    const until = this.#known.get(clientOf(address))
    return until !== undefined && until > now
  }

  add(address: string, now: number): void {
    const client = clientOf(address)
    if (this.#known.has(client)) this.#known.delete(client)
    this.#known.set(client, now + this.#rememberMs)
    if (this.#known.size <= this.#maxClients) return
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest)
      return
    }
  }

  delete(address: string): void {
    this.#known.delete(clientOf(address))
  }
}
