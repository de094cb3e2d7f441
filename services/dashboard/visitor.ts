import type { Scope } from '../../shared/config/api-tokens.ts'
import type { Role } from '../../shared/config/operators.ts'

/** Who asks, and what he may: an operator with a browser, or a program with a token. */
export interface Visitor {
  /** Absent: nobody signs in here, and nobody can change a thing. */
  readonly name?: string
  readonly role: Role
  /** May change queues and messages by the forms of pages: his role allows it, and the dashboard is not `read-only`. */
  readonly acts: boolean
  /** The hidden field of every form. */
  readonly formToken: string
  /** What he may ask of the API; a browser only reads there, for its cookie is no proof that its operator wants it. */
  readonly scopes: ReadonlySet<Scope>
}

/** Of a dashboard without `auth`. */
export const anybody: Visitor = { role: 'reader', acts: false, formToken: '', scopes: new Set(['read']) }

/** A program with a token of these scopes. */
export function program(name: string, scopes: ReadonlySet<Scope>, readOnly: boolean): Visitor {
  const looking: ReadonlySet<Scope> = new Set(['read', 'audit', 'content'])
  const allowed = readOnly ? new Set([...scopes].filter((scope) => looking.has(scope))) : scopes
  return { name: `token ${name}`, role: 'reader', acts: false, formToken: '', scopes: allowed }
}

/** Who reads what others wrote has signed in as one who has to do with it. */
export function mayPreview({ name, role }: Visitor): boolean {
  return name !== undefined && role !== 'reader'
}
