import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { EventFilter } from '../../shared/event-tail.ts'
import { createEventStream } from './event-stream.ts'
import { eventsPage } from './pages/events-page.ts'
import type { Page } from './pages/layout.ts'
import { queryText } from './questions.ts'
import { securityHeaders } from './security.ts'
import type { Source } from './source.ts'

export interface EventRouteParts {
  readonly source: Pick<Source, 'events' | 'eventTail'>
  readonly eventsEveryMs?: number
  show(request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply
}

export const mostEventRows = 100
const mostWordLength = 200

/** The page Live: the newest events, and behind it a stream of those that come. */
export function addEvents(app: FastifyInstance, { source, eventsEveryMs: everyMs, show }: EventRouteParts): void {
  const stream = createEventStream(source.eventTail, everyMs === undefined ? {} : { everyMs })
  app.get('/events', async (request, reply) => {
    const filter = filterOf(request)
    const { events, number, at } = await source.events(mostEventRows, filter)
    const look = { ...filter, most: mostEventRows, after: stream.idOf(number) }
    return show(request, reply, eventsPage(events, look, at))
  })

  app.addHook('preClose', async () => stream.close())
  app.get('/events/stream', { exposeHeadRoute: false }, (request, reply) => {
    reply.hijack()
    const { raw } = reply
    raw.writeHead(200, { ...securityHeaders, 'content-type': 'text/event-stream' })
    const header = request.headers['last-event-id']
    const lastId = typeof header === 'string' ? header : queryText(request, 'after')
    if (!stream.add(raw, filterOf(request), lastId)) raw.end()
  })
}

function filterOf(request: FastifyRequest): EventFilter & { readonly words: readonly string[] } {
  const text = (name: string): string | undefined => {
    const given = queryText(request, name)?.trim().slice(0, mostWordLength)
    return given === '' ? undefined : given
  }
  const words = text('word')?.split(/\s+/) ?? []
  return { words, event: text('event'), stage: text('stage') }
}
