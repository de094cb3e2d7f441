import { randomBytes } from 'node:crypto'

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import { isAtLeast } from '../../shared/config/operators.ts'
import type { DashboardSettings } from '../../shared/config/model.ts'
import type { Logger } from '../../shared/log.ts'
import { clientOf } from './client-address.ts'
import type { Client } from './client-address.ts'
import { cookieName, readCookie, writeCookie } from './cookies.ts'
import type { FormTokens } from './form-tokens.ts'
import { signInPage, staleFormPage } from './pages/sign-in-page.ts'
import type { SignInProblem } from './pages/sign-in-page.ts'
import type { Sessions } from './sessions.ts'
import type { SignIn, SignInResult } from './sign-in.ts'
import type { TokenCheck } from './token-check.ts'
import { anybody, program } from './visitor.ts'
import type { Visitor } from './visitor.ts'

export interface AccessParts {
  /** In force at this moment. */
  settings(): DashboardSettings
  trustedProxies(): readonly string[]
  readonly signIn: SignIn
  readonly sessions: Sessions
  readonly tokens: FormTokens
  readonly checkToken: TokenCheck
  readonly audit: Audit
  readonly log: Logger
}

/** Who asks, and whether he may. */
export interface Access {
  /** Undefined before sign-in. */
  visitor(request: FastifyRequest): Visitor | undefined
  client(request: FastifyRequest): Client
  /** Whether a form was made by us for who is signed in; every request that changes something is asked. */
  ownsForm(request: FastifyRequest): boolean
}

export const assetRoutes = ['/assets/sluice.css', '/assets/live.js', '/assets/icon.svg'] as const
/** Of the links in digests. */
export const linkRoute = '/quarantine/:link'
/** Answered to everybody: what the sign-in page needs, what machines ask, and links that are a proof themselves. */
const openRoutes: ReadonlySet<string> = new Set([
  '/sign-in',
  '/health',
  '/ready',
  '/alive',
  '/metrics',
  linkRoute,
  ...assetRoutes,
])
const sessionCookie = 'sluice-session'
/** Of a browser that has no session yet: ties the sign-in form to it. */
const visitCookie = 'sluice-visit'
const tokenPattern = /^[\w-]{43}$/

/** Nothing but the open routes is answered before sign-in; without `auth` everybody who reaches us is a reader. */
export function addAccess(app: FastifyInstance, parts: AccessParts): Access {
  const { settings, sessions, tokens, signIn, log } = parts
  const visitors = new WeakMap<FastifyRequest, Visitor>()

  function client(request: FastifyRequest): Client {
    return clientOf(request.socket.remoteAddress ?? '', request.headers, parts.trustedProxies())
  }

  function cookie(request: FastifyRequest, name: string): string | undefined {
    const value = readCookie(request.headers.cookie, cookieName(name, client(request).secure))
    return value !== undefined && tokenPattern.test(value) ? value : undefined
  }

  async function identify(request: FastifyRequest): Promise<Visitor | undefined> {
    const { operators, readOnly } = settings()
    const { authorization } = request.headers
    if (isApi(request) && authorization !== undefined && /^bearer /i.test(authorization))
      return identifyProgram(authorization, readOnly)
    if (operators === undefined) return anybody
    const token = cookie(request, sessionCookie)
    const session =
      token === undefined
        ? undefined
        : sessions.find(token, request.headers['x-refresh'] === undefined && !isStream(request))
    if (token === undefined || session === undefined) return undefined
    const operator = await signIn.operator(session.name)
    if (operator?.credential !== session.credential) {
      sessions.end(token)
      return undefined
    }
    const { role } = operator
    return {
      name: session.name,
      role,
      acts: !readOnly && isAtLeast(role, 'operator'),
      formToken: tokens.of(token),
      scopes: new Set(isAtLeast(role, 'admin') ? ['read', 'audit'] : ['read']),
    }
  }

  async function identifyProgram(authorization: string, readOnly: boolean): Promise<Visitor | undefined> {
    const found = await parts.checkToken(/^bearer +(\S+)$/i.exec(authorization)?.[1] ?? '')
    return found && program(found.name, found.scopes, readOnly)
  }

  app.addHook('onRequest', async (request, reply) => {
    const visitor = await identify(request).catch((error: unknown) => {
      log.error({ err: error }, 'it cannot be told who may sign in')
    })
    if (visitor !== undefined) visitors.set(request, visitor)
    else if (!openRoutes.has(request.routeOptions.url ?? '')) return askToSignIn(request, reply)
  })

  const access: Access = {
    visitor: (request) => visitors.get(request),
    client,
    ownsForm: (request) => ownsForm(request, sessionCookie),
  }

  function ownsForm(request: FastifyRequest, name: string): boolean {
    const owner = cookie(request, name)
    return owner !== undefined && isOfThisSite(request) && tokens.matches(owner, field(request, 'token'))
  }

  addSignIn(app, parts, { access, cookie, ownsForm })
  return access
}

/** A text field of a form that was sent; forms are small, and a field counts once. */
export function field(request: FastifyRequest, name: string): string | undefined {
  return request.body instanceof URLSearchParams ? (request.body.get(name) ?? undefined) : undefined
}

function isApi(request: FastifyRequest): boolean {
  return request.url.startsWith('/api/')
}

/** A page asks for it again and again, whether anybody looks or not. */
function isStream({ routeOptions: { url } }: FastifyRequest): boolean {
  return url === '/live' || url === '/events/stream'
}

function askToSignIn(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (isApi(request) || isStream(request))
    return reply.code(401).header('www-authenticate', 'Bearer').send({ error: 'sign in first, or send a token' })
  const back = request.method === 'GET' && request.url !== '/' ? `?to=${encodeURIComponent(request.url)}` : ''
  return reply.redirect(`/sign-in${back}`, 303)
}

interface Browser {
  readonly access: Access
  cookie(request: FastifyRequest, name: string): string | undefined
  /** The form was made for the one that has the cookie of this name. */
  ownsForm(request: FastifyRequest, name: string): boolean
}

function addSignIn(
  app: FastifyInstance,
  { settings, signIn, sessions, tokens, audit }: AccessParts,
  browser: Browser,
): void {
  const { access, cookie, ownsForm } = browser

  /** The form, in a browser that has a cookie to tie it to. */
  function form(request: FastifyRequest, reply: FastifyReply, problem?: SignInProblem): FastifyReply {
    let visit = cookie(request, visitCookie)
    if (visit === undefined) {
      visit = randomBytes(32).toString('base64url')
      void reply.header('set-cookie', writeCookie(visitCookie, visit, access.client(request).secure))
    }
    const to = wayBack(field(request, 'to') ?? (request.query as { readonly to?: unknown }).to)
    const page = signInPage({ formToken: tokens.of(visit), to, ...(problem === undefined ? {} : { problem }) })
    return reply.type('text/html; charset=utf-8').send(page.text)
  }

  function record(request: FastifyRequest, name: string, result: SignInResult): void {
    const from = access.client(request).address
    if (result.kind === 'signed in') audit.record({ by: name, from, action: 'sign in', outcome: 'done' })
    // A name that is not there may be a password in the wrong field.
    else if (result.kind === 'refused')
      audit.record({
        by: result.known ? name : 'unknown',
        from,
        action: 'sign in',
        outcome: 'refused',
        detail: 'wrong name or password',
      })
  }

  app.get('/sign-in', async (request, reply) => {
    if (access.visitor(request) !== undefined) return reply.redirect('/', 303)
    return form(request, reply)
  })

  app.post('/sign-in', async (request, reply) => {
    if (settings().operators === undefined) return reply.redirect('/', 303)
    if (!ownsForm(request, visitCookie)) return form(request, reply.code(403), { kind: 'stale' })
    const [name, password] = [(field(request, 'name') ?? '').trim(), field(request, 'password') ?? '']
    const result = await signIn.check(name, password, access.client(request).address)
    record(request, name.toLowerCase(), result)
    switch (result.kind) {
      case 'signed in': {
        const { secure } = access.client(request)
        const token = sessions.start(result.name, result.credential)
        void reply.header('set-cookie', [
          writeCookie(sessionCookie, token, secure),
          writeCookie(visitCookie, '', secure),
        ])
        return reply.redirect(wayBack(field(request, 'to')), 303)
      }
      case 'refused':
        return form(request, reply.code(401), { kind: 'refused' })
      case 'too many': {
        const waitSeconds = Math.ceil(result.waitMs / 1000)
        return form(request, reply.code(429).header('retry-after', waitSeconds), { kind: 'too many', waitSeconds })
      }
      case 'unavailable':
        return form(request, reply.code(503), { kind: 'unavailable' })
    }
  })

  app.post('/sign-out', async (request, reply) => {
    if (!access.ownsForm(request)) return reply.code(403).type('text/html; charset=utf-8').send(staleFormPage().text)
    const { secure, address } = access.client(request)
    const [token, name] = [cookie(request, sessionCookie), access.visitor(request)?.name]
    if (token !== undefined) sessions.end(token)
    if (name !== undefined) audit.record({ by: name, from: address, action: 'sign out', outcome: 'done' })
    void reply.header('set-cookie', writeCookie(sessionCookie, '', secure))
    return reply.redirect('/sign-in', 303)
  })
}

/** A path of ours, never another site. */
function wayBack(to: unknown): string {
  return typeof to === 'string' && /^\/(?![/\\])[\x21-\x7e]{0,500}$/.test(to) ? to : '/'
}

/** Browsers tell where a request comes from; one that says "elsewhere" is none of ours, whatever it knows. */
function isOfThisSite(request: FastifyRequest): boolean {
  const site = request.headers['sec-fetch-site']
  return site === undefined || site === 'same-origin' || site === 'none'
}
