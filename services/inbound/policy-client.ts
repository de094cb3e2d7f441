import { parseAccessValue } from '../../shared/config/access-value.ts'
import type { AccessValue } from '../../shared/config/access-value.ts'
import type { SocketPlace } from '../../shared/config/model.ts'
import type { ExchangeProtocol } from '../../shared/table-host/exchange-connection.ts'
import { ExchangePool } from '../../shared/table-host/exchange-pool.ts'

/** What a policy service is told, by the names of Postfix's SMTPD_POLICY_README: `sender`, `recipient`, `client_address` ... */
export type PolicyAttributes = Readonly<Record<string, string>>

/** What it wants done. Replies are as in an access table: `552 5.2.2 text`, the enhanced code and the text may be missing. */
export type PolicyAnswer =
  | AccessValue
  /** A whole header field without its line end; the list goes on. */
  | { readonly kind: 'prepend'; readonly field: string }

/** A policy service that is away, or says what is not known here. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError'
}

/** A service that speaks Postfix's policy delegation protocol: Dovecot's quota-status, postgrey, policyd. */
export interface PolicyClient {
  /** @throws PolicyError: a temporary failure, never an answer */
  ask(attributes: PolicyAttributes): Promise<PolicyAnswer>
  /** Whoever still waits gets a PolicyError. */
  close(): Promise<void>
}

export interface PolicyClientOptions {
  readonly place: SocketPlace
  /** For one answer, with the time to connect and to wait for a free connection. */
  readonly timeoutMs: number
  /** At most so many are open, and stay open. */
  readonly maxConnections?: number
}

/** Connects at the first question. A service that closed a kept connection is asked once more on a new one. */
export function openPolicyClient(options: PolicyClientOptions): PolicyClient {
  const pool = new ExchangePool({ maxConnections: 20, ...options, protocol: attributeLists })
  return {
    async ask(attributes) {
      try {
        return readAnswer(await pool.ask(question(attributes)))
      } catch (error) {
        const { message } = error as Error
        throw new PolicyError(`policy service ${nameOf(options.place)}: ${message}`, { cause: error })
      }
    },
    close: () => pool.close(),
  }
}

/** `name=value` lines, and an empty one at the end. No value can end its line. */
function question(attributes: PolicyAttributes): string {
  const lines = Object.entries({ request: 'smtpd_access_policy', ...attributes }).map(
    ([name, value]) => `${name}=${value.replaceAll(/[\0-\x1f\x7f]/g, '?')}\n`,
  )
  return `${lines.join('')}\n`
}

const attributeLists: ExchangeProtocol = {
  takeAnswer(received) {
    const end = received.indexOf('\n\n')
    return end < 0 ? undefined : { text: received.toString('utf8', 0, end), length: end + 2 }
  },
}

function readAnswer(answer: string): PolicyAnswer {
  const action = answer.split('\n').find((line) => line.startsWith('action='))
  if (action === undefined) throw new Error('it answered without an action')
  const value = action.slice('action='.length).trim()
  const field = /^PREPEND\s+([\x21-\x39\x3b-\x7e]+:[^\0\r]*)$/i.exec(value)?.[1]
  if (field !== undefined) return { kind: 'prepend', field }
  const known = value === '' ? ({ kind: 'next' } as const) : parseAccessValue(value)
  if (known === undefined) throw new Error(`it answered ${printable(value)}, which is not known here`)
  return known
}

function printable(text: string): string {
  return text.slice(0, 200).replaceAll(/[^\x20-\x7e]/g, '?')
}

function nameOf(place: SocketPlace): string {
  return place.kind === 'unix' ? place.path : `${place.host}:${place.port}`
}
