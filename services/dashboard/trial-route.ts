import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Clock } from '../../shared/clock.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import { errorPage } from './pages/error-page.ts'
import type { Page } from './pages/layout.ts'
import { trialPage } from './pages/trial-page.ts'
import { queryText } from './questions.ts'
import type { Visitor } from './visitor.ts'

export interface TrialRouteParts {
  readonly operations: Pick<Operations, 'tryReplay'>
  readonly clock: Clock
  visitor(request: FastifyRequest): Visitor
  show(request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply
}

/** Before a replay: what would be decided. The stages are asked, so it is for those who may act. */
export function addTrial(app: FastifyInstance, { operations, clock, visitor: visitorOf, show }: TrialRouteParts): void {
  app.get('/messages/:id/replay', async (request, reply) => {
    const { id = '' } = request.params as Readonly<Record<string, string | undefined>>
    const visitor = visitorOf(request)
    if (!isMessageId(id) || !visitor.acts) return reply.redirect(`/messages/${encodeURIComponent(id)}`, 303)
    const question = { from: given(request, 'from'), recipient: given(request, 'recipient') }
    try {
      const steps = await operations.tryReplay(id, question)
      return show(request, reply, trialPage(id, { ...question, steps }, visitor, clock.now()))
    } catch (error) {
      if (!(error instanceof OperationError || error instanceof QueueUnavailableError)) throw error
      return show(request, reply.code(409), errorPage('It cannot be tried', error.message, clock.now()))
    }
  })
}

/** An empty field of the form is none. */
function given(request: FastifyRequest, name: string): string | undefined {
  const text = queryText(request, name)
  return text === undefined || text === '' ? undefined : text
}
