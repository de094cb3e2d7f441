import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Clock } from '../../shared/clock.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import type { Access } from './access.ts'
import { act, soonOrGoesOn } from './actions.ts'
import type { Action } from './actions.ts'
import type { Fields, Given } from './action-fields.ts'
import { actByApi, actionByApi, givenOr400 } from './api-act.ts'
import { ApiError } from './api-error.ts'
import type { ApiRoute } from './api-route.ts'
import { schemas } from './api-schemas.ts'
import { domainSchemas } from './domain-schemas.ts'
import type { DomainDesk, MadeKey } from './domain-desk.ts'
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

export interface DomainApiParts {
  readonly desk: DomainDesk
  readonly access: Access
  readonly audit: Pick<Audit, 'record'>
}

/** Of `/api/v1`. */
export function domainApi(parts: DomainApiParts): readonly ApiRoute[] {
  const { desk } = parts
  const check = checkAction(desk)
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
    {
      method: 'POST',
      path: '/api/v1/domains/:name/check',
      scope: 'queues',
      summary: 'Looks at a domain as the world does; `GET domains/NAME` tells what was found',
      action: check.name,
      answer: schemas.done,
      run: (request, caller) => {
        const name = nameOf(request)
        return actionByApi(parts, { request, caller, action: check, target: name, about: name })
      },
    },
    ...keyActions(desk).map((action) => keyRoute(parts, action)),
  ]
}

function keyRoute({ access, audit }: DomainApiParts, { path, name: action, fields, run }: KeyAction): ApiRoute {
  return {
    method: 'POST',
    path: `/api/v1/domains/:name/${path}`,
    scope: 'keys',
    summary: action,
    fields,
    answer: domainSchemas.changedKey,
    run: (request, caller) => {
      const about = nameOf(request)
      const given = givenOr400(request, fields)
      return actByApi({ access, audit }, { request, caller, action, about }, async ({ name: by, from }) => {
        const changed = await run(about, given)
        audit.record({ by, from, action, about, outcome: 'done', detail: changed.done })
        return changed
      })
    },
  }
}

/** A check that takes longer goes on after the answer. */
const patienceMs = 5_000

function domainActions(desk: DomainDesk): readonly Action<string>[] {
  const ofKeys = keyActions(desk).map(({ run, ...action }): Action<string> => ({
    ...action,
    role: 'admin',
    run: async (name, _by, given) => (await run(name, given)).done,
  }))
  return [checkAction(desk), ...ofKeys]
}

function checkAction(desk: DomainDesk): Action<string> {
  return {
    path: 'check',
    name: 'check domain',
    run: (name) =>
      soonOrGoesOn(patienceMs, asOperation(desk.check(name)), () => 'it is being looked at; its page tells the end'),
  }
}

interface KeyAction {
  readonly path: string
  /** As the audit log says it. */
  readonly name: string
  readonly fields: Fields
  run(domain: string, given: Given): Promise<Partial<MadeKey> & Pick<MadeKey, 'done'>>
}

const type = { type: 'string', description: 'rsa or ed25519.' } as const

function keyActions(desk: DomainDesk): readonly KeyAction[] {
  return [
    {
      path: 'rotate',
      name: 'rotate DKIM key',
      fields: {
        selector: { type: 'string', description: 'Of the key as pipeline.conf names it, where a domain has several.' },
        newSelector: { type: 'string', description: 'Of the new key; absent: the old one and the date.' },
        type,
      },
      run: (name, given) => desk.rotate(name, withoutAbsent(given)),
    },
    {
      path: 'generate',
      name: 'make DKIM key',
      fields: { selector: { type: 'string', description: 'Of the new key; absent: main.' }, type },
      run: (name, given) => desk.generate(name, withoutAbsent(given)),
    },
    {
      path: 'retire',
      name: 'retire DKIM key',
      fields: { selector: { type: 'string', description: 'Of a key that was replaced and is needed no longer.' } },
      run: async (name, { selector }) => ({ done: await desk.retire(name, selector) }),
    },
  ]
}

function withoutAbsent(given: Given): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(given).flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])))
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
