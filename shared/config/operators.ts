import { isPasswordHash } from '../crypt/check-password.ts'

/** `reader` sees, `operator` also acts on queues and messages, `admin` also sees who did what. */
export type Role = 'reader' | 'operator' | 'admin'

/** Who may sign in to the dashboard, as a table holds it. */
export interface Operator {
  readonly role: Role
  readonly hash: string
}

/** The roles, each may do what those before it may. */
export const roles: readonly Role[] = ['reader', 'operator', 'admin']

/** `hash` for an operator, or `role:hash`; undefined: it is neither. No hash has a colon. */
export function parseOperator(value: string): Operator | undefined {
  const colon = value.indexOf(':')
  const role = colon < 0 ? 'operator' : roles.find((one) => one === value.slice(0, colon))
  const hash = value.slice(colon + 1)
  return role !== undefined && isPasswordHash(hash) ? { role, hash } : undefined
}

/** Whether somebody of this role may do what `wanted` may. */
export function isAtLeast(role: Role, wanted: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(wanted)
}
