import type { FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Clock } from '../../shared/clock.ts'
import { queryExample } from '../../shared/store/query.ts'
import type { Access } from './access.ts'
import type { Fields, Given } from './action-fields.ts'
import { actByApi, givenOr400 } from './api-act.ts'
import type { ApiRoute } from './api-route.ts'
import { count, flag, instant, list, object, text } from './schema.ts'
import type { SearchShelf } from './search-shelf.ts'
import type { Visitor } from './visitor.ts'

export interface SearchApiParts {
  readonly shelf: SearchShelf
  readonly access: Access
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
}

const name = { type: 'string', description: 'Its name; without case.' } as const
const own = { type: 'boolean', description: 'It is the token’s own, and nobody else sees it.' } as const

const changes: Readonly<
  Record<
    'save' | 'rename' | 'delete',
    {
      readonly path: string
      readonly summary: string
      readonly fields: Fields
      run(shelf: SearchShelf, given: Given, who: { readonly by: string; readonly at: number }): Promise<string>
    }
  >
> = {
  save: {
    path: '/api/v1/searches',
    summary: 'Keep a search under a name; one of that name is replaced',
    fields: { name, query: { type: 'string', description: `In the search language: ${queryExample}` }, own },
    run: async (shelf, given, { by, at }) => {
      await shelf.save({ ...keyOf(given, by), query: given['query'] ?? '', by, at })
      return 'saved'
    },
  },
  rename: {
    path: '/api/v1/searches/rename',
    summary: 'Give a search another name',
    fields: { name, to: { type: 'string', description: 'Its new name.' }, own },
    run: async (shelf, given, { by }) => {
      await shelf.rename(keyOf(given, by), given['to'] ?? '')
      return 'renamed'
    },
  },
  delete: {
    path: '/api/v1/searches/delete',
    summary: 'Forget a search',
    fields: { name, own },
    run: async (shelf, given, { by }) => {
      await shelf.delete(keyOf(given, by))
      return 'deleted'
    },
  },
}

export function searchRoutes(parts: SearchApiParts): readonly ApiRoute[] {
  const { shelf, clock } = parts
  return [
    {
      method: 'GET',
      path: '/api/v1/searches',
      scope: 'read',
      summary: 'Searches that are kept under names, everybody’s and the caller’s own',
      answer: object({
        searches: list(
          object({
            name: text,
            query: text,
            'owner?': { ...text, description: 'Absent: everybody’s.' },
            by: text,
            at: instant,
            'found?': {
              ...object({ count, isCut: { ...flag, description: 'There are more.' } }),
              description: 'Messages it finds, as counted within the last half minute; absent: not counted yet.',
            },
          }),
        ),
      }),
      run: async (_request, caller) => ({ searches: await shelf.for(caller.name) }),
    },
    ...Object.entries(changes).map(([what, { path, summary, fields, run }]): ApiRoute => ({
      method: 'POST',
      path,
      scope: 'messages',
      summary,
      action: `${what} search`,
      fields,
      answer: object({ done: text }),
      run: (request: FastifyRequest, caller: Visitor) => {
        const given = givenOr400(request, fields)
        const asked = { request, caller, action: `${what} search`, about: given['name'] ?? '' }
        return actByApi(parts, asked, async ({ name: by, from }) => {
          const done = await run(shelf, given, { by, at: clock.now() })
          parts.audit.record({ by, from, action: asked.action, about: asked.about, outcome: 'done' })
          return { done }
        })
      },
    })),
  ]
}

function keyOf(given: Given, owner: string): { readonly name: string; readonly owner?: string } {
  return { name: given['name'] ?? '', ...(given['own'] === undefined ? {} : { owner }) }
}
