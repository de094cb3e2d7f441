import type { ScramSecret } from '../crypt/scram-secret.ts'
import type { SaslStep } from './sasl-step.ts'

/** Who asks to be let in. */
export interface LoginClient {
  readonly address: string
  /** The client's words come by TLS. */
  readonly secure: boolean
}

/** `user`: under the name its back end knows it by, which may be another spelling than the client's. */
export type LoginVerdict = { readonly kind: 'accepted'; readonly user: string } | { readonly kind: 'refused' }

/** Something that knows users and proofs of theirs, of some kinds or all. All reject when they cannot tell, within a time-out of their own. */
export interface LoginBackend {
  /** As an operator knows it: `table users`, `dovecot 10.77.0.3:12345`. */
  readonly name: string
  checkPassword?(user: string, password: string, client: LoginClient): Promise<LoginVerdict>
  /** For SCRAM-SHA-256; undefined: there is no such user, or no secret of this kind of his. */
  scramSecret?(user: string): Promise<ScramSecret | undefined>
  /** Whom a token of OAuth 2 is for; `user` is whom the client says, and may be empty. */
  checkToken?(token: string, user: string): Promise<LoginVerdict>
  /** Hands a SASL exchange through; `initial` is absent where the client waits for a challenge. */
  begin?(mechanism: string, initial: Buffer | undefined, client: LoginClient): Promise<SaslStep>
}

/** A back end is away, or could not look. */
export class LoginUnavailableError extends Error {
  override readonly name: string = 'LoginUnavailableError'
}
