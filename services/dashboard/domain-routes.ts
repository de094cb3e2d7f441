import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Clock } from '../../shared/clock.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import type { Access } from './access.ts'
import { act, soonOrGoesOn } from './actions.ts'
import type { Action } from './actions.ts'
import { ApiError } from './api-error.ts'
import type { ApiRoute } from './api-route.ts'
import { domainSchemas } from './domain-schemas.ts'
import type { DomainDesk } from './domain-desk.ts'
import { domainPage, domainsPage } from './pages/domains-page.ts'
import { errorPage } from './pages/error-page.ts'
import type { Page } from './pages/layout.ts'
import { queryText } from './questions.ts'
import { anybody } from './visitor.ts'

export interface DomainRouteParts {
  readonly desk: DomainDesk
  readonly access: Access
  readonly audit: Audit
  readonly clock: Clock
  show(request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply
}

/** The pages Domains, and what is done there. */
export function addDomains(app: FastifyInstance, parts: DomainRouteParts): void {
  const { desk, access, clock, show } = parts

  app.get('/domains', async (request, reply) => show(request, reply, domainsPage(await desk.list())))

  app.get('/domains/:name', async (request, reply) => {
    const name = nameOf(request)
    const view = await desk.find(name)
    if (view !== undefined)
      return show(request, reply, domainPage(view, access.visitor(request) ?? anybody, queryText(request, 'done')))
    return show(request, reply.code(404), errorPage('No such domain', notThere(name), clock.now()))
  })

  for (const action of domainActions(desk)) {
    app.post(`/domains/:name/${action.path}`, (request, reply) => {
      const name = nameOf(request)
      const page = `/domains/${encodeURIComponent(name)}`
      return act(parts, { request, reply, page, about: name, action, target: name })
    })
  }
}

/** Of `/api/v1`. */
export function domainApi(desk: DomainDesk): readonly ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/domains',
      scope: 'read',
      summary: 'Domains that mail is taken for or signed of, and how the world saw them last',
      answer: domainSchemas.domains,
      run: () => desk.list(),
    },
    {
      method: 'GET',
      path: '/api/v1/domains/:name',
      scope: 'read',
      summary: 'A domain: records to publish, what the last check found, its DKIM keys',
      answer: domainSchemas.domain,
      run: async (request) => {
        const view = await desk.find(nameOf(request))
        if (view === undefined) throw new ApiError(404, notThere(nameOf(request)))
        return view
      },
    },
  ]
}

const selector = { type: 'string', description: 'Of the key.' } as const
const type = { type: 'string', description: 'rsa or ed25519.' } as const
/** A check that takes longer goes on after the answer. */
const patienceMs = 5_000

function domainActions(desk: DomainDesk): readonly Action<string>[] {
  return [
    {
      path: 'check',
      name: 'check domain',
      run: (name) =>
        soonOrGoesOn(patienceMs, asOperation(desk.check(name)), () => 'it is being looked at; its page tells the end'),
    },
    {
      path: 'rotate',
      name: 'rotate DKIM key',
      role: 'admin',
      fields: { selector, type },
      run: (name, _by, given) => desk.rotate(name, keyOf(given)),
    },
    {
      path: 'generate',
      name: 'make DKIM key',
      role: 'admin',
      fields: { selector, type },
      run: (name, _by, given) => desk.generate(name, keyOf(given)),
    },
    {
      path: 'retire',
      name: 'retire DKIM key',
      role: 'admin',
      fields: { selector },
      run: (name, _by, given) => desk.retire(name, given['selector']),
    },
  ]
}

function keyOf(given: Readonly<Record<string, string | undefined>>): {
  readonly selector?: string
  readonly type?: string
} {
  const { selector: named, type: kind } = given
  return { ...(named === undefined ? {} : { selector: named }), ...(kind === undefined ? {} : { type: kind }) }
}

/** Whatever keeps a domain from being looked at is told to who asked. */
async function asOperation(work: Promise<string>): Promise<string> {
  try {
    return await work
  } catch (error) {
    throw new OperationError((error as Error).message, { cause: error })
  }
}

function notThere(name: string): string {
  return `The configuration does not name the domain '${name}'.`
}

function nameOf(request: FastifyRequest): string {
  const { name } = request.params as { readonly name: string }
  return name.toLowerCase()
}
