import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import { beginningOf } from '../../shared/beginning-of.ts'
import type { Clock } from '../../shared/clock.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import type { SpooledMessage } from '../../shared/spool/spool.ts'
import type { Access } from './access.ts'
import { errorPage } from './pages/error-page.ts'
import type { Page } from './pages/layout.ts'
import { messageNotFoundPage } from './pages/message-page.ts'
import { sourcePage } from './pages/source-page.ts'
import { previewOf } from './preview.ts'
import type { Source } from './source.ts'
import { anybody, mayPreview } from './visitor.ts'

export interface SourceRouteParts {
  readonly source: Pick<Source, 'content'>
  readonly access: Access
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  show(request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply
}

const mostShownBytes = 256 * 1024

/** A message as it was received: for operators who have signed in, and it is kept who looked. */
export function addSource(app: FastifyInstance, parts: SourceRouteParts): void {
  const { source, access, audit, clock, show } = parts

  async function answer(
    request: FastifyRequest,
    reply: FastifyReply,
    action: string,
    tell: (stored: SpooledMessage, id: string) => Promise<FastifyReply>,
  ): Promise<FastifyReply> {
    const { id } = request.params as { readonly id: string }
    const visitor = access.visitor(request) ?? anybody
    const record = (outcome: 'done' | 'refused'): void =>
      audit.record({ by: visitor.name ?? 'unknown', from: access.client(request).address, action, about: id, outcome })
    if (!mayPreview(visitor)) {
      if (visitor.name !== undefined) record('refused')
      const text = 'What messages say is shown to operators who have signed in.'
      return show(request, reply.code(403), errorPage('Not for you', text, clock.now()))
    }
    const stored = isMessageId(id) ? await source.content(id) : undefined
    if (stored === undefined) return show(request, reply.code(404), messageNotFoundPage(id, clock.now()))
    record('done')
    return tell(stored, id)
  }

  app.get('/messages/:id/source', (request, reply) =>
    answer(request, reply, 'read source', async (stored, id) => {
      const [raw, preview] = await Promise.all([beginningOf(stored.stream(), mostShownBytes), previewOf(stored)])
      const look = { raw, sizeBytes: stored.locator.sizeBytes, parts: preview.parts }
      return show(request, reply, sourcePage(id, look, clock.now()))
    }),
  )

  // Saved, never shown: what is in it is nothing of ours.
  app.get('/messages/:id/source.eml', (request, reply) =>
    answer(request, reply, 'download message', async (stored, id) =>
      reply
        .type('message/rfc822')
        .header('content-disposition', `attachment; filename="${id}.eml"`)
        .header('content-length', stored.locator.sizeBytes)
        .send(stored.stream()),
    ),
  )
}
