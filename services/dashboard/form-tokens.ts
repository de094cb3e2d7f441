import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Ties a form to the cookie of the browser that was given it: another site can send a form, but cannot know its token. */
export interface FormTokens {
  of(cookie: string): string
  matches(cookie: string, token: string | undefined): boolean
}

/** With a key of its own: the tokens of another process, or of the one before, are no good. */
export function createFormTokens(): FormTokens {
  const key = randomBytes(32)
  const of = (cookie: string): string => createHmac('sha256', key).update(cookie).digest('base64url')
  return {
    of,
    matches(cookie, token) {
      const [right, given] = [Buffer.from(of(cookie)), Buffer.from(token ?? '')]
      return right.length === given.length && timingSafeEqual(right, given)
    },
  }
}
