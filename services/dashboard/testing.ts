import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

import type { FastifyInstance, LightMyRequestResponse } from 'fastify'

import { openAudit } from '../../shared/audit.ts'
import type { Teacher } from '../../shared/classifier/teacher.ts'
import type { Clock } from '../../shared/clock.ts'
import type { DashboardSettings, Table } from '../../shared/config/model.ts'
import { openTables } from '../../shared/config/tables.ts'
import { checkPassword } from '../../shared/crypt/check-password.ts'
import { silentLog } from '../../shared/log.ts'
import { parseMailbox } from '../../shared/mail/address.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { LiveConfiguration } from '../../shared/config/live-configuration.ts'
import { openDryRuns } from '../../shared/dry-run/dry-runs.ts'
import { createBulkRuns } from '../../shared/operate/bulk-runs.ts'
import type { BulkWork } from '../../shared/operate/bulk-work.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import type { GivenOrder } from '../../shared/operate/relay-order.ts'
import type { ChosenMessage } from '../../shared/store/found-message.ts'
import { createLinkSigner } from '../../shared/quarantine/links.ts'
import type { WebhookDesk, WebhookView } from '../../shared/webhooks/webhook-desk.ts'
import { createApp } from './app.ts'
import { readAssets } from './assets.ts'
import type { DomainDesk } from './domain-desk.ts'
import type { ViewFilters } from './filter-routes.ts'
import { createFormTokens } from './form-tokens.ts'
import { sampleAt, sampleId, sampleSource } from './sample-source.ts'
import type { QuarantineDesk } from './quarantine-links.ts'
import { createSearchCounts } from './search-counts.ts'
import { createSearchShelf } from './search-shelf.ts'
import { Sessions } from './sessions.ts'
import { createSignIn } from './sign-in.ts'
import { createTokenCheck } from './token-check.ts'
import type { Source } from './source.ts'
import type { SystemDesk } from './system-desk.ts'

export interface TestAppOptions {
  readonly source?: Source
  readonly operations?: Operations
  /** What any search finds. */
  readonly chosen?: readonly ChosenMessage[]
  readonly host?: string
  /** Value by name; absent: nobody signs in. */
  readonly operators?: Readonly<Record<string, string>>
  /** Entry by name. */
  readonly apiTokens?: Readonly<Record<string, string>>
  /** The configuration that dry runs change. */
  readonly loaded?: Pick<LiveConfiguration, 'texts' | 'origin'>
  readonly readOnly?: boolean
  readonly url?: string
  readonly trustedProxies?: readonly string[]
  readonly domains?: DomainDesk
  readonly webhooks?: WebhookDesk
  readonly system?: SystemDesk
  readonly filters?: ViewFilters
}

/** A dashboard with a made-up system behind it, and a clock that stands still until it is told. */
export async function openTestApp(t: TestContext, options: TestAppOptions = {}) {
  const { source = sampleSource({}), host = '127.0.0.1', readOnly = false, trustedProxies = [], chosen = [] } = options
  const folder = await mkdtemp(join(tmpdir(), 'sluice-dash-'))
  const time = { now: sampleAt }
  const clock: Clock = { now: () => time.now }
  const log = silentLog()
  const audit = await openAudit(folder, { log, clock })
  const tables = openTables()
  const asked: { password: string; hash: string }[] = []
  const verifier = {
    verify: async (password: string, hash: string) => {
      asked.push({ password, hash })
      return checkPassword(password, hash)
    },
  }
  const done: string[] = []
  const settings: { current: DashboardSettings } = {
    current: {
      host,
      port: 0,
      readOnly,
      ...(options.url === undefined ? {} : { url: options.url }),
      ...(options.operators === undefined ? {} : { operators: tableOf(options.operators) }),
      ...(options.apiTokens === undefined ? {} : { tokens: tableOf(options.apiTokens) }),
    },
  }
  const runs = createBulkRuns({
    dataFolder: folder,
    clock,
    audit,
    bulk: sampleBulk(done),
    choose: async ({ most }) => ({ messages: chosen.slice(0, most), isCut: chosen.length > most }),
  })
  const dryRuns = openDryRuns({
    live: options.loaded ?? { texts: new Map(), origin: undefined },
    folder: join(folder, 'events'),
    clock,
  })
  const counts = createSearchCounts(async ({ most }) => Math.min(most, chosen.length), clock, 60_000)
  const app = createApp({
    source,
    shelf: createSearchShelf(folder, counts),
    runs,
    dryRuns,
    operations: options.operations ?? sampleOperations(done),
    teacher: sampleTeacher(done),
    desk: sampleDesk(done),
    domains: options.domains ?? noDomains,
    webhooks: options.webhooks ?? sampleWebhooks([], done),
    system: options.system ?? sampleSystem,
    filters: options.filters ?? (async () => ({ at: sampleAt, sinceAt: sampleAt, engines: [], mix: [], findings: [] })),
    access: {
      settings: () => settings.current,
      trustedProxies: () => trustedProxies,
      signIn: createSignIn({ operators: () => settings.current.operators, tables, verifier, clock, log }),
      sessions: new Sessions(clock),
      tokens: createFormTokens(),
      checkToken: createTokenCheck(() => settings.current.tokens, tables),
      audit,
    },
    exposition: { contentType: 'text/plain', text: async () => '' },
    assets: await readAssets(),
    clock,
    log,
    host,
    tickEveryMs: 20,
  })
  t.after(async () => {
    await app.close()
    await runs.close()
    await dryRuns.close()
    await audit.close()
    await tables.close()
    await rm(folder, { recursive: true })
  })
  return { app, runs, dryRuns, audit, time, settings, asked, done }
}

/** Writes down which were tested; `silent` does not take it. */
export function sampleWebhooks(views: readonly WebhookView[], done: string[] = []): WebhookDesk {
  return {
    list: async () => views,
    async test(name) {
      if (name === 'silent') throw new OperationError('it was not taken: silent gave no answer')
      done.push(`test ${name}`)
      return 'taken in 12 ms'
    },
    close: async () => {},
  }
}

/** Writes down what it was asked to do; a run is done as soon as it is begun. */
function sampleBulk(done: string[]): BulkWork {
  return {
    async check({ action, way }) {
      if (action === 'reroute' && way?.to === 'nowhere') throw new OperationError('"nowhere" is no relay host')
    },
    prepare: async (order, _messages, by) => async (piece) => {
      const { action, query, way, again, quarantined, copyTo } = order
      const more = [way?.to, way?.action, copyTo, again === true && 'again', quarantined === true && 'quarantined']
      done.push([action, query, piece.length, ...more.filter((one) => typeof one === 'string'), by].join(' '))
      return { done: piece.length, left: 0 }
    },
  }
}

const noFiles = { path: '/var/sluice', files: 0, bytes: 0 }

/** Of a system without anything in it. */
const sampleSystem: SystemDesk = {
  look: async () => ({
    certificates: [],
    spool: { name: '/var/sluice', freeBytes: 1, totalBytes: 1 },
    store: { what: 'SQLite' },
    journal: noFiles,
  }),
  people: async () => ({ users: [], tokens: [] }),
}

/** Of a configuration that names none. */
const noDomains: DomainDesk = {
  list: async () => ({ at: sampleAt, domains: [], unlisted: [], signsAll: false, count: 0 }),
  find: async () => undefined,
  check: nowhere,
  rotate: nowhere,
  generate: nowhere,
  retire: nowhere,
}

async function nowhere(name: string): Promise<never> {
  throw new OperationError(`the configuration does not name the domain ${name}`)
}

/** Writes down what it was asked to do. */
function sampleOperations(done: string[]): Operations {
  return {
    scheduleAll: async () => done.push('schedule all'),
    scheduleQueue: async (queue) => done.push(`schedule ${queue}`),
    scheduleMessage: async (id, by) => done.push(`schedule ${id} ${by}`),
    async hold(id, by, recipient) {
      done.push(`hold ${id} ${by}${recipient === undefined ? '' : ` for ${recipient}`}`)
      return ['relay']
    },
    async release(id, by) {
      done.push(`release ${id} ${by}`)
      return ['relay']
    },
    async releaseAsHam(id, by) {
      done.push(`release-ham ${id} ${by}`)
      return 'back in relay; learned as ham'
    },
    async block(id, by) {
      done.push(`block ${id} ${by}`)
      return 'blocked'
    },
    remove: async (id, by) => done.push(`remove ${id} ${by}`),
    expire: async (id, by) => done.push(`expire ${id} ${by}`),
    async reroute(id, given, by, recipient) {
      done.push(`reroute ${id} ${describeGiven(given)} ${by}${recipient === undefined ? '' : ` for ${recipient}`}`)
      return { done: 1, left: 0 }
    },
    async readdress(id, { from, to }, by) {
      done.push(`readdress ${id} ${from} ${to} ${by}`)
      return mailboxOf(to)
    },
    async replay(id, { from = 'its beginning', again, recipient, dryRun }, by) {
      done.push(`replay ${id} ${from} ${String(again)} ${String(recipient)} ${String(dryRun)} ${by}`)
      return { copies: [{ mailbox: mailboxOf('joe@example.net'), kind: 'moved', tags: [], edits: 1 }], left: [] }
    },
    tryReplay: async (id, { from = 'its beginning' }) => {
      done.push(`try ${id} ${from}`)
      return [{ to: [mailboxOf('joe@example.net')], queue: 'filter', now: 'pass', before: 'hold', differs: true }]
    },
    async rerouteMany(given, selection, by) {
      const name = selection.kind === 'tag' ? selection.tag : selection.destination
      done.push(`reroute ${selection.kind} ${name} ${describeGiven(given)} ${by}`)
      return { done: 2, left: 1 }
    },
    counts: async () => ({
      schedule: { jobs: 9, messages: 8 },
      hold: { jobs: 35, messages: 30 },
      release: { jobs: 0, messages: 0 },
      expire: { jobs: 36, messages: 31 },
      remove: { jobs: 36, messages: 31 },
      reroute: { jobs: 37, messages: 1 },
    }),
    async many(action, selection, by) {
      const name = selection.kind === 'tag' ? selection.tag : selection.destination
      done.push(`${action} ${selection.kind} ${name} ${by}`)
      return { done: 2, left: 1 }
    },
    setPaused: async (queue, paused) => void done.push(`${paused ? 'pause' : 'resume'} ${queue}`),
    async limit(queue, { rate, concurrency }, by) {
      done.push(`limit ${queue} ${String(rate)} ${String(concurrency)} ${by}`)
      return 'as asked'
    },
  }
}

function describeGiven({ to, action, undo }: GivenOrder): string {
  return to ?? action ?? (undo === true ? 'undo' : 'nowhere')
}

/** Takes any message for new, but those that say they are forged. */
function sampleTeacher(done: string[]): Teacher {
  return {
    async teach(content, lesson) {
      done.push(`learn ${lesson} ${content.length}`)
      return Buffer.from(content).includes('forged') ? 'forged' : 'learned'
    },
    async forget(content) {
      done.push(`forget ${content.length}`)
      return true
    },
    close: async () => {},
  }
}

export const sampleSigner = createLinkSigner(Buffer.alloc(32, 7))

/** Keeps back one message for two recipients: recipient 0's is spam, recipient 1's a virus; recipient 2 has no sender to block. */
function sampleDesk(done: string[]): QuarantineDesk {
  const gone = new Set<number>()
  return {
    quarantine: {
      async find(id, recipient) {
        const kind = (['spam', 'virus', 'spam'] as const)[recipient]
        if (id !== sampleId || kind === undefined || gone.has(recipient)) return undefined
        const from = recipient === 2 ? null : mailboxOf('win@spam.example')
        const mailbox = mailboxOf(`jane${recipient}@sluice.test`)
        return { id, recipient, mailbox, from, kind, reason: `${kind} <b>score</b>`, jobId: 'j', stage: 'filter' }
      },
      async release(copy, by) {
        gone.add(copy.recipient)
        done.push(`release ${copy.recipient} ${by}`)
      },
      async remove(copy, by) {
        gone.add(copy.recipient)
        done.push(`remove ${copy.recipient} ${by}`)
      },
    },
    lessons: {
      async learn(_id, lesson) {
        done.push(`learn ${lesson}`)
        return 'learned'
      },
    },
    signer: async () => sampleSigner,
    async block(copy, by) {
      done.push(`block ${copy.from} for ${copy.mailbox} ${by}`)
      return copy.from ?? mailboxOf('nobody@nowhere.test')
    },
  }
}

function mailboxOf(text: string): Mailbox {
  const mailbox = parseMailbox(text)
  if (mailbox === undefined) throw new TypeError(text)
  return mailbox
}

/** Everything fails like this. */
export function failingOperations(failure: Error): Operations {
  const fail = async (): Promise<never> => {
    throw failure
  }
  return {
    scheduleAll: fail,
    scheduleQueue: fail,
    scheduleMessage: fail,
    hold: fail,
    release: fail,
    releaseAsHam: fail,
    block: fail,
    remove: fail,
    expire: fail,
    many: fail,
    reroute: fail,
    readdress: fail,
    replay: fail,
    tryReplay: fail,
    rerouteMany: fail,
    counts: fail,
    setPaused: fail,
    limit: fail,
  }
}

export function tableOf(entries: Readonly<Record<string, string>>): Table {
  return {
    name: 'operators',
    source: { kind: 'inline', map: new Map(Object.entries(entries)) },
    at: { file: 'pipeline.conf', line: 1, column: 1 },
  }
}

/** A browser without scripts: it keeps cookies and sends forms with the hidden fields of the page it was given. */
export class TestBrowser {
  readonly #app: FastifyInstance
  readonly #headers: Readonly<Record<string, string>>
  readonly #cookies = new Map<string, string>()

  constructor(app: FastifyInstance, headers: Readonly<Record<string, string>> = {}) {
    this.#app = app
    this.#headers = headers
  }

  async get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<LightMyRequestResponse> {
    const response = await this.#app.inject({ method: 'GET', url, headers: this.#sent(headers) })
    this.#keep(response)
    return response
  }

  async post(url: string, fields: Readonly<Record<string, string>>): Promise<LightMyRequestResponse> {
    const headers = this.#sent({ 'content-type': 'application/x-www-form-urlencoded' })
    const payload = new URLSearchParams(fields).toString()
    const response = await this.#app.inject({ method: 'POST', url, headers, payload })
    this.#keep(response)
    return response
  }

  /** As a form with files is sent. */
  async upload(url: string, form: FormData): Promise<LightMyRequestResponse> {
    const encoded = new Response(form)
    const headers = this.#sent({ 'content-type': encoded.headers.get('content-type') ?? '' })
    const payload = Buffer.from(await encoded.arrayBuffer())
    const response = await this.#app.inject({ method: 'POST', url, headers, payload })
    this.#keep(response)
    return response
  }

  /** Fetches a page and sends the form on it that goes to `action`. */
  async send(page: string, action: string, fields: Readonly<Record<string, string>> = {}) {
    return this.post(action, { token: tokenIn((await this.get(page)).body), ...fields })
  }

  signIn(name: string, password: string): Promise<LightMyRequestResponse> {
    return this.send('/sign-in', '/sign-in', { name, password })
  }

  get cookies(): ReadonlyMap<string, string> {
    return this.#cookies
  }

  #sent(headers: Readonly<Record<string, string>>): Record<string, string> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    return { host: 'localhost', ...(cookie === '' ? {} : { cookie }), ...this.#headers, ...headers }
  }

  #keep(response: LightMyRequestResponse): void {
    for (const { name, value, maxAge } of response.cookies) {
      if (maxAge === 0) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
  }
}

export function tokenIn(body: string): string {
  return /name="token" value="([\w-]+)"/.exec(body)?.[1] ?? ''
}

/** Each route there is: `GET /queues/:name`. Once the app is ready. */
export function routesOf(app: FastifyInstance): readonly string[] {
  const path: string[] = []
  const tree = app.printRoutes({ commonPrefix: false }).split('\n')
  return tree.flatMap((line) => {
    const [, indent = '', part = '', methods = ''] = /^(.*?)── (\S+) \(([^)]*)\)$/.exec(line) ?? []
    path.splice((indent.length - 1) / 4, path.length, part)
    const route = path.join('').replace(/^\/(?=.)\/?/, '/')
    return methods.split(', ').flatMap((method) => (/^(GET|POST)$/.test(method) ? [`${method} ${route}`] : []))
  })
}
