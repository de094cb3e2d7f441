import type { Role } from '../../shared/config/operators.ts'

/** Who looks at a page, and what it may offer. */
export interface Visitor {
  /** Absent: nobody signs in here, and nobody can change a thing. */
  readonly name?: string
  readonly role: Role
  /** May change queues and messages: his role allows it, and the dashboard is not `read-only`. */
  readonly acts: boolean
  /** The hidden field of every form. */
  readonly formToken: string
}

/** Of a dashboard without `auth`. */
export const anybody: Visitor = { role: 'reader', acts: false, formToken: '' }
