import type { LoginVerdict } from './login-backend.ts'

/** Where a SASL exchange stands. */
export type SaslStep = LoginVerdict | SaslChallenge

export interface SaslChallenge {
  readonly kind: 'challenge'
  readonly challenge: Buffer
  /** Rejects as `LoginBackend.checkPassword` does. */
  answer(response: Buffer): Promise<SaslStep>
  /** The client gives up. */
  cancel(): void
}
