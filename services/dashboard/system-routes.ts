import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit, AuditEntry } from '../../shared/audit.ts'
import type { DashboardSettings } from '../../shared/config/model.ts'
import { isAtLeast } from '../../shared/config/operators.ts'
import type { WebhookDesk } from '../../shared/webhooks/webhook-desk.ts'
import type { Access } from './access.ts'
import type { ApiRoute } from './api-route.ts'
import { schemas } from './api-schemas.ts'
import type { Page } from './pages/layout.ts'
import { systemPage } from './pages/system-page.ts'
import { queryText } from './questions.ts'
import { count, flag, instant, list, object, text, texts } from './schema.ts'
import type { Source } from './source.ts'
import type { SystemDesk } from './system-desk.ts'
import { anybody } from './visitor.ts'

export interface SystemRouteParts {
  readonly desk: SystemDesk
  readonly source: Pick<Source, 'overview'>
  readonly audit: Audit
}

const shownEntries = 100
const mostEntries = 500
const longestWord = 200

/** The page System; who may come in and what operators did is for admins. */
export function addSystem(
  app: FastifyInstance,
  {
    desk,
    source,
    audit,
    access,
    settings,
    webhooks: hooks,
    show,
  }: SystemRouteParts & {
    readonly webhooks: Pick<WebhookDesk, 'list'>
    readonly access: Access
    settings(): DashboardSettings
    show(request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply
  },
): void {
  app.get('/system', async (request, reply) => {
    const visitor = access.visitor(request) ?? anybody
    const seesAll = isAtLeast(visitor.role, 'admin')
    const word = wordOf(request)
    const [overview, system, webhooks, people, entries] = await Promise.all([
      source.overview(),
      desk.look(),
      hooks.list(),
      seesAll ? desk.people() : undefined,
      seesAll ? entriesOf(audit, word, shownEntries) : undefined,
    ])
    const own = { ...(people && { people }), ...(entries && { audit: entries }) }
    const shown = { overview, settings: settings(), system, webhooks, done: queryText(request, 'done'), word }
    return show(request, reply, systemPage({ ...shown, ...own }, visitor))
  })
}

function entriesOf(audit: Audit, word: string, most: number): Promise<readonly AuditEntry[]> {
  return word === '' ? audit.last(most) : audit.find(word, most)
}

function wordOf(request: FastifyRequest): string {
  return (queryText(request, 'word') ?? '').trim().slice(0, longestWord)
}

const folder = { path: text, files: count, bytes: count, 'oldestAt?': instant } as const

/** Of `/api/v1`. */
export function systemApi({ desk, source, audit }: SystemRouteParts): readonly ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/system',
      scope: 'read',
      summary: 'Processes, what they listen on, certificates, Redis, spool and message store',
      answer: object({
        at: instant,
        hostname: text,
        revision: text,
        processes: list(
          object({
            name: { ...text, description: 'Of the service.' },
            host: text,
            pid: count,
            startedAt: instant,
            silent: { ...flag, description: 'It said nothing for some time.' },
            listens: texts,
            'connections?': {
              type: 'object',
              additionalProperties: true,
              description: 'Clients that are connected, by what it listens on.',
            },
            'versions?': object({ sluice: text, node: text }),
            'configuration?': object({ revision: text, 'fault?': text }),
          }),
        ),
        certificates: list(
          object({
            pki: text,
            file: text,
            listeners: texts,
            'found?': object({ names: texts, issuer: text, fromAt: instant, untilAt: instant }),
            'trouble?': text,
          }),
        ),
        'redis?': object({
          server: text,
          version: text,
          usedBytes: count,
          maxBytes: { ...count, description: '0: no limit.' },
          tooFull: flag,
          refusals: texts,
          warnings: texts,
        }),
        spool: object({
          name: text,
          'folder?': { ...object(folder), description: 'Absent: it is a bucket.' },
          freeBytes: { ...count, description: 'On this host, before new mail is refused.' },
          totalBytes: { ...count, description: 'Of the disk.' },
          'quotaBytes?': count,
        }),
        store: object({ what: text, 'bytes?': count }),
        journal: object(folder),
      }),
      run: async () => {
        const [{ at, hostname, revision, services }, system] = await Promise.all([source.overview(), desk.look()])
        return { at, hostname, revision, processes: services, ...system }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/users',
      scope: 'audit',
      summary: 'Who may sign in, and the tokens of the API, with their last use; no secrets',
      answer: object({
        'users?': {
          ...list(object({ name: text, 'role?': text, 'signedInAt?': instant })),
          description: 'Absent: their table only answers questions.',
        },
        'tokens?': {
          ...list(object({ name: text, scopes: texts, 'usedAt?': instant })),
          description: 'Absent: their table only answers questions.',
        },
      }),
      run: () => desk.people(),
    },
    {
      method: 'GET',
      path: '/api/v1/audit',
      scope: 'audit',
      summary: `The last ${mostEntries} things that operators did or tried, newest first`,
      query: { word: { type: 'string', description: 'Only those that have it somewhere.' } },
      answer: schemas.audit,
      run: async (request) => ({ entries: await entriesOf(audit, wordOf(request), mostEntries) }),
    },
  ]
}
