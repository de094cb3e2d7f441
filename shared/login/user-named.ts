import type { LoginVerdict } from './login-backend.ts'

/** What a server calls the user; a name that no log line or header could bear is refused. */
export function userNamed(name: unknown): LoginVerdict {
  if (typeof name !== 'string' || name === '' || name.length > 320 || /[\0-\x1f\x7f]/.test(name))
    return { kind: 'refused' }
  return { kind: 'accepted', user: name }
}
