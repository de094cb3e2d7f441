import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { SearchKey } from '../../shared/searches/saved-searches.ts'
import { field } from './access.ts'
import { actOnForm } from './form-act.ts'
import type { FormParts } from './form-act.ts'
import { changeSearchPage, searchesPage } from './pages/searches-page.ts'
import { searchLink } from './pages/found-table.ts'
import { queryText } from './questions.ts'
import type { SearchShelf } from './search-shelf.ts'
import { anybody } from './visitor.ts'

export interface SearchRouteParts extends FormParts {
  readonly shelf: SearchShelf
}

/** Searches that are kept under names: their page, and the forms. */
export function addSearches(app: FastifyInstance, parts: SearchRouteParts): void {
  const { shelf, access, audit, clock, show } = parts

  app.get('/messages/searches', async (request, reply) => {
    const visitor = access.visitor(request) ?? anybody
    return show(request, reply, searchesPage(await shelf.for(visitor.name), visitor, clock.now()))
  })

  app.get('/messages/searches/change', async (request, reply) => {
    const visitor = access.visitor(request) ?? anybody
    const [name = '', own] = [queryText(request, 'name'), queryText(request, 'own')]
    const found = (await shelf.for(visitor.name)).find(
      (one) => one.name === name && (one.owner === undefined) === (own === undefined),
    )
    if (found === undefined || !visitor.acts) return reply.redirect('/messages/searches', 303)
    return show(request, reply, changeSearchPage(found, visitor, clock.now()))
  })

  for (const what of ['save', 'rename', 'delete'] as const) {
    app.post(`/messages/searches/${what}`, (request, reply) => {
      const name = field(request, 'name') ?? ''
      const query = field(request, 'q')?.trim() ?? ''
      const back = what === 'save' ? searchLink('/messages', query) : '/messages/searches'
      const action = `${what} search`
      return actOnForm(parts, { request, reply, action, about: name, back }, async (asker) => {
        const key = keyOf(request, name, asker.name)
        if (what === 'save') await shelf.save({ ...key, query, by: asker.name, at: clock.now() })
        else if (what === 'rename') await shelf.rename(key, field(request, 'to') ?? '')
        else await shelf.delete(key)
        audit.record({ by: asker.name, from: asker.from, action, about: name.trim(), outcome: 'done' })
        return back
      })
    })
  }
}

function keyOf(request: FastifyRequest, name: string, owner: string): SearchKey {
  return { name, ...(field(request, 'own') === undefined ? {} : { owner }) }
}
