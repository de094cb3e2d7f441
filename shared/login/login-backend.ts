/** Who asks to be let in. */
export interface LoginClient {
  readonly address: string
  /** The client's words come by TLS. */
  readonly secure: boolean
}

/** `user`: under the name its back end knows it by, which may be another spelling than the client's. */
export type LoginVerdict = { readonly kind: 'accepted'; readonly user: string } | { readonly kind: 'refused' }

/** Something that knows users and their passwords. */
export interface LoginBackend {
  /** As an operator knows it: `table users`, `dovecot 10.77.0.3:12345`. */
  readonly name: string
  /** Rejects when it cannot tell, within a time-out of its own: a temporary failure, never a wrong password. */
  checkPassword(user: string, password: string, client: LoginClient): Promise<LoginVerdict>
}

/** A back end is away, or could not look. */
export class LoginUnavailableError extends Error {
  override readonly name: string = 'LoginUnavailableError'
}
