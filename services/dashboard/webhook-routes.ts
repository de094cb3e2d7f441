import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Clock } from '../../shared/clock.ts'
import type { WebhookDesk } from '../../shared/webhooks/webhook-desk.ts'
import type { Access } from './access.ts'
import { act } from './actions.ts'
import type { Action, ActionParts } from './actions.ts'
import { actByApi } from './api-act.ts'
import type { ApiRoute } from './api-route.ts'
import { schemas } from './api-schemas.ts'
import { count, instant, list, object, text, texts } from './schema.ts'

/** The form of the page System. */
export function addWebhooks(
  app: FastifyInstance,
  parts: Omit<ActionParts, 'operations'> & { readonly desk: Pick<WebhookDesk, 'test'> },
): void {
  const action = testAction(parts.desk)
  app.post('/webhooks/:name/test', (request, reply) => {
    const name = nameOf(request)
    return act(parts, { request, reply, page: '/system', about: name, action, target: name })
  })
}

export interface WebhookApiParts {
  readonly webhooks: WebhookDesk
  readonly access: Access
  readonly audit: Audit
  readonly clock: Clock
}

/** Of `/api/v1`. */
export function webhookApi({ webhooks, access, audit, clock }: WebhookApiParts): readonly ApiRoute[] {
  const action = testAction(webhooks)
  return [
    {
      method: 'GET',
      path: '/api/v1/webhooks',
      scope: 'read',
      summary: 'Who is told of events, what waits for them and why',
      answer: object({ at: instant, webhooks: list(webhook) }),
      run: async () => ({ at: clock.now(), webhooks: await webhooks.list() }),
    },
    {
      method: 'POST',
      path: '/api/v1/webhooks/:name/test',
      scope: 'queues',
      summary: 'Posts one signed event `test`, now',
      action: action.name,
      answer: schemas.done,
      run: (request, caller) => {
        const name = nameOf(request)
        return actByApi({ access, audit }, { request, caller, action: action.name, about: name }, async (asker) => {
          const done = await webhooks.test(name)
          audit.record({
            by: asker.name,
            from: asker.from,
            action: action.name,
            about: name,
            outcome: 'done',
            detail: done,
          })
          return { done }
        })
      },
    },
  ]
}

const webhook = object({
  name: { ...text, description: 'As in log and health; the URL itself may hold a key.' },
  host: text,
  events: texts,
  state: { type: 'string', enum: ['works', 'fails', 'not begun'] },
  sent: count,
  dropped: { ...count, description: 'Not taken within three days, or before the journal was trimmed.' },
  'sentAt?': { ...instant, description: 'When it last took some.' },
  'waiting?': { ...count, description: 'At most 10,000 are counted.' },
  'failure?': object({ attempts: count, reason: text, since: instant, nextAt: instant }),
})

function testAction(desk: Pick<WebhookDesk, 'test'>): Action<string> {
  return { path: 'test', name: 'test webhook', run: (name) => desk.test(name) }
}

function nameOf(request: FastifyRequest): string {
  return (request.params as { readonly name: string }).name
}
