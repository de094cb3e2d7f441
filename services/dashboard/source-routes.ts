import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import { beginningOf } from '../../shared/beginning-of.ts'
import type { Clock } from '../../shared/clock.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import type { Access } from './access.ts'
import { errorPage } from './pages/error-page.ts'
import { previewPage } from './pages/held-page.ts'
import type { Page } from './pages/layout.ts'
import { messageNotFoundPage } from './pages/message-page.ts'
import { sourcePage } from './pages/source-page.ts'
import { previewOf } from './preview.ts'
import type { Source } from './source.ts'
import { anybody, mayPreview } from './visitor.ts'

export interface SourceRouteParts {
  readonly source: Pick<Source, 'content' | 'preview'>
  readonly access: Access
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  show(request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply
}

const mostShownBytes = 256 * 1024

/** What messages say, in words or as they were received: for operators who have signed in, and it is kept who looked. */
export function addSource(app: FastifyInstance, parts: SourceRouteParts): void {
  const { source, access, audit, clock, show } = parts

  /** @param find what is asked for; undefined: it is not there */
  async function answer<T>(
    { request, reply, action }: { request: FastifyRequest; reply: FastifyReply; action: string },
    find: (id: MessageId) => Promise<T | undefined>,
    tell: (found: T, id: string) => Promise<FastifyReply>,
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
    const found = isMessageId(id) ? await find(id) : undefined
    if (found === undefined) return show(request, reply.code(404), messageNotFoundPage(id, clock.now()))
    record('done')
    return tell(found, id)
  }

  app.get('/messages/:id/preview', (request, reply) =>
    answer({ request, reply, action: 'preview message' }, source.preview, async (preview, id) =>
      show(request, reply, previewPage(id, preview, clock.now())),
    ),
  )

  app.get('/messages/:id/source', (request, reply) =>
    answer({ request, reply, action: 'read source' }, source.content, async (stored, id) => {
      const [raw, preview] = await Promise.all([beginningOf(stored.stream(), mostShownBytes), previewOf(stored)])
      const look = { raw, sizeBytes: stored.locator.sizeBytes, parts: preview.parts }
      return show(request, reply, sourcePage(id, look, clock.now()))
    }),
  )

  // Saved, never shown: what is in it is nothing of ours.
  app.get('/messages/:id/source.eml', (request, reply) =>
    answer({ request, reply, action: 'download message' }, source.content, async (stored, id) =>
      reply
        .type('message/rfc822')
        .header('content-disposition', `attachment; filename="${id}.eml"`)
        .header('content-length', stored.locator.sizeBytes)
        .send(stored.stream()),
    ),
  )
}
