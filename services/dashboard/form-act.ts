import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Asker } from '../../shared/operate/bulk-runs.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import { QueryError } from '../../shared/store/query.ts'
import type { Access } from './access.ts'
import { actionFailedPage } from './pages/error-page.ts'
import type { Page } from './pages/layout.ts'
import { staleFormPage } from './pages/sign-in-page.ts'

export interface FormParts {
  readonly access: Access
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  show(request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply
}

export interface AskedByForm {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** As a page that refuses it names it. */
  readonly action: string
  /** The query, or the run. */
  readonly about: string
  readonly back: string
}

/** Asks whether the form is ours and its sender may. @param run gives where it leads */
export async function actOnForm(
  { access, audit, clock, show }: FormParts,
  { request, reply, action, about, back }: AskedByForm,
  run: (asker: Asker) => Promise<string>,
): Promise<FastifyReply> {
  const visitor = access.visitor(request)
  if (visitor?.name === undefined || !access.ownsForm(request))
    return reply.code(403).type('text/html; charset=utf-8').send(staleFormPage().text)
  const { name } = visitor
  const from = access.client(request).address
  const refuse = (code: number, detail: string): FastifyReply => {
    audit.record({ by: name, from, action, about, outcome: 'refused', detail })
    return show(request, reply.code(code), actionFailedPage({ action, detail, page: back }, clock.now()))
  }
  if (!visitor.acts) return refuse(403, 'you may look here, and not change anything')
  try {
    return await reply.redirect(await run({ by: `${name} (dashboard)`, name, from }), 303)
  } catch (error) {
    if (error instanceof OperationError) return refuse(409, error.message)
    if (error instanceof QueryError) return refuse(400, error.message)
    throw error
  }
}
