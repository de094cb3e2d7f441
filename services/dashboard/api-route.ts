import type { FastifyRequest } from 'fastify'

import type { Scope } from '../../shared/config/api-tokens.ts'
import type { Fields } from './action-fields.ts'
import type { Schema } from './api-schemas.ts'
import type { Visitor } from './visitor.ts'

/** One question that the API answers; its document and its routes are made of these alone. */
export interface ApiRoute {
  readonly method: 'GET' | 'POST'
  /** As Fastify writes it: `/api/v1/queues/:name`. */
  readonly path: string
  readonly scope: Scope
  readonly summary: string
  /** As the audit log calls it; absent: the summary. */
  readonly action?: string
  readonly query?: Readonly<Record<string, Schema>>
  /** It is asked about a message, which is sent along (message/rfc822). */
  readonly takesMail?: true
  /** Octets that may be sent along; some thousands when left out. */
  readonly mostBytes?: number
  /** What may be sent along, as JSON. */
  readonly fields?: Fields
  /** What is asked may not be understood. */
  readonly mayRefuse?: true
  readonly answer: Schema
  /** It answers with a message (message/rfc822) in place of JSON. */
  readonly givesMail?: true
  /** @throws ApiError */
  run(request: FastifyRequest, caller: Visitor): Promise<unknown>
}
