import { closest } from './diagnostic.ts'
import type { Token } from './lexer.ts'
import type { PipelineSettings } from './model.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { dashboardStatements } from './pipeline-dashboard.ts'
import { acmeStatements } from './pipeline-acme.ts'
import { bounceStatements } from './pipeline-bounces.ts'
import { deliveryStatements } from './pipeline-delivery.ts'
import { filterStatements } from './pipeline-filter.ts'
import { doorStatements } from './pipeline-door.ts'
import { extensionStatements } from './pipeline-extension.ts'
import { filterProcessStatements } from './pipeline-filter-process.ts'
import { headerStatements } from './pipeline-header.ts'
import { parsePipelineInclude } from './pipeline-include.ts'
import { inboundStatements } from './pipeline-inbound.ts'
import { laneStatements } from './pipeline-lane.ts'
import { loginStatements } from './pipeline-login.ts'
import { notifyStatements } from './pipeline-notify.ts'
import { rewritingStatements } from './pipeline-rewriting.ts'
import { outboundStatements } from './pipeline-outbound.ts'
import { builtinQueues, queueStatements } from './pipeline-queue.ts'
import { checkEngines, engineStatements } from './pipeline-engines.ts'
import { checkDigest, quarantineStatements } from './pipeline-quarantine.ts'
import { checkReports, reportStatements } from './pipeline-report.ts'
import { receivedStatements, usualReceivedReports } from './pipeline-received.ts'
import { restrictStatements } from './pipeline-restrict.ts'
import { rateStatements } from './pipeline-rate.ts'
import { sessionStatements } from './pipeline-session.ts'
import { spoolStatements } from './pipeline-spool.ts'
import { systemStatements, usualEvents } from './pipeline-system.ts'
import { traceStatements } from './pipeline-traces.ts'
import { strangersStatements } from './pipeline-strangers.ts'
import { userStatements } from './pipeline-users.ts'
import { webhookStatements } from './pipeline-webhook.ts'
import type { PolicyDraft } from './policy-draft.ts'
import { noteChanges } from './set-by.ts'
import { atMacro, parseMacro } from './statements.ts'
import { parseTable } from './table-grammar.ts'
import { StatementFault, type TokenReader } from './token-reader.ts'

export type { PipelineDraft } from './pipeline-draft.ts'

const onlyOnce = new Set([
  'redis',
  'spool',
  'dashboard',
  'metrics',
  'log',
  'events',
  'replay',
  'traces',
  'hostname',
  'auth-results',
  'arc',
  'users',
  'login',
  'acme',
  'received-reports',
  'relocated',
  'quota',
  'masquerade',
  'append-domain',
  'complete-addresses',
  'mta-sts',
  'dane',
  'smtputf8',
  'etrn',
  'expn',
  'future-release',
  'mbox',
  'mda',
  'forward',
  'mailbox',
])

/** An empty pipeline.conf. */
export function defaultPipeline(): PipelineSettings {
  return {
    dashboard: { host: '127.0.0.1', port: 8080, readOnly: false },
    logLevel: 'info',
    queues: new Map(builtinQueues.map((queue) => [queue.name, queue])),
    dkim: [],
    dkimSevenBit: false,
    authResults: ['spf', 'dkim', 'dmarc', 'arc'],
    authentication: { minKeyBits: 1024 },
    spam: {
      junk: 5,
      header: 'X-Spam',
      reportSafe: false,
      engines: [{ kind: 'builtin', weight: 1, classifier: true }],
      policies: [],
      clean: [],
      blocked: [],
      lists: [],
    },
    enginePolicies: [],
    notices: { admins: [] },
    aggregateReports: {},
    webhooks: [],
    quarantine: {},
    receivedReports: usualReceivedReports,
    events: usualEvents,
    replay: {},
    users: { kind: 'lmtp' },
    login: [],
    auth: { mechanisms: ['PLAIN', 'LOGIN'], withoutTls: false },
    mda: { enabled: false },
    filters: new Map(),
    beforeAccept: [],
    strangersRelay: [],
    resolvers: [],
    validatingResolvers: [],
    trustedProxies: [],
    extensions: { smtpUtf8: true },
    sessions: [],
    rates: [],
    bans: [],
    headerRules: [],
    contentRules: { mimeHeader: [], nestedHeader: [], body: [], bodyBytes: 51_200 },
    rewriting: { canonical: [], completeAddresses: true },
    restrictions: [],
    delayRefusals: true,
    interfaces: new Map(),
    externals: [],
    sockets: new Map(),
    tlsMinimum: 'TLSv1.2',
    dane: 'off',
    mtaSts: { mode: 'off', port: 443 },
    relayPort: 25,
    relayEightBit: 'convert',
    bounces: { address: { count: 200, periodMs: 3_600_000 }, domain: { count: 5_000, periodMs: 3_600_000 } },
    fullMailbox: { kind: 'as-said' },
    lanes: { default: { backOff: { firstMs: 30_000, longestMs: 1_800_000 } }, mx: new Map(), domains: new Map() },
  }
}

const statements: Readonly<Record<string, ParseStatement>> = {
  table: (draft) => parseTable(draft.policy),
  include: (draft) => parsePipelineInclude(draft.reader),
  ...systemStatements,
  ...spoolStatements,
  ...dashboardStatements,
  ...queueStatements,
  ...filterStatements,
  ...quarantineStatements,
  ...receivedStatements,
  ...engineStatements,
  ...notifyStatements,
  ...reportStatements,
  ...webhookStatements,
  ...traceStatements,
  ...filterProcessStatements,
  ...doorStatements,
  ...extensionStatements,
  ...strangersStatements,
  ...inboundStatements,
  ...userStatements,
  ...sessionStatements,
  ...laneStatements,
  ...loginStatements,
  ...acmeStatements,
  ...rateStatements,
  ...headerStatements,
  ...rewritingStatements,
  ...restrictStatements,
  ...outboundStatements,
  ...deliveryStatements,
  ...bounceStatements,
}

/** pipeline.conf (section 13) behind the tables and macros of smtpd.conf. Faults go to the lexer's diagnostics. */
export function parsePipeline(reader: TokenReader, policy: PolicyDraft): PipelineDraft {
  const draft: PipelineDraft = {
    policy: { ...policy, reader, names: policy.names.seenBy(reader) },
    reader,
    files: [],
    hostname: undefined,
    stated: new Set(),
    statedAt: new Map(),
    settings: defaultPipeline(),
  }
  while (reader.peek().kind !== 'end') {
    if (reader.peek().kind === 'newline') reader.next()
    else parseStatement(draft)
  }
  checkDigest(draft)
  checkEngines(draft)
  checkReports(draft)
  return draft
}

function parseStatement(draft: PipelineDraft): void {
  const { reader } = draft
  try {
    if (atMacro(reader)) return parseMacro(reader)
    const first = reader.peek()
    const known = first.kind === 'word' || first.kind === 'keyword'
    const parse = known && Object.hasOwn(statements, first.text) ? statements[first.text] : undefined
    if (parse === undefined) return unknownStatement(draft, first)
    if (onlyOnce.has(first.text) && draft.stated.has(first.text)) {
      reader.fail('duplicate', `"${first.text}" is stated already`, first.span, 'keep one of the two')
    }
    draft.stated.add(first.text)
    draft.statedAt.set(first.text, first.span)
    const { settings: before, hostname } = draft
    parse(draft)
    noteChanges(draft.policy.setBy, 'pipeline', before, draft.settings, first.span)
    noteChanges(draft.policy.setBy, 'hostname', hostname, draft.hostname, first.span)
  } catch (error) {
    if (!(error instanceof StatementFault)) throw error
    reader.recover()
  }
}

const ofPolicy: ReadonlySet<string> = new Set(
  'listen action match accept reject pki ca proc mta smtp srs bounce admd scheduler expire'.split(' '),
)

function unknownStatement({ reader }: PipelineDraft, first: Token): never {
  if (ofPolicy.has(first.text) && first.kind === 'word')
    reader.fail('unknown-keyword', `"${first.text}" is a statement of smtpd.conf`, first.span, 'write it there')
  const meant = closest(first.text, Object.keys(statements))
  const hint = meant === undefined ? `one of: ${Object.keys(statements).join(', ')}` : `did you mean "${meant}"?`
  return reader.fail('unknown-keyword', `there is no statement "${first.text}" in pipeline.conf`, first.span, hint)
}
