import type { Clock } from '../../../shared/clock.ts'
import { verifyArc } from '../../../shared/dkim/arc.ts'
import { verifySignature } from '../../../shared/dkim/verify.ts'
import type { Envelope } from '../../../shared/mail/envelope.ts'
import type { MessageId } from '../../../shared/mail/message-id.ts'
import type { Resolver } from '../../../shared/resolver.ts'
import { workerFile } from '../../../shared/workers/start-worker.ts'
import type { WorkerPool } from '../../../shared/workers/worker-pool.ts'
import { createWorkerPool, ownCopy } from '../../../shared/workers/worker-pool.ts'
import type { Engine, EngineResult, ScanMessage } from '../engine.ts'
import { overriddenByArc } from './arc-override.ts'
import { checkDmarc } from './dmarc.ts'
import { dmarcFinding } from './dmarc-finding.ts'
import { findingsOf } from './findings.ts'
import type { Authentication } from './findings.ts'
import type { InspectTask, Inspection } from './inspect.ts'
import inspect from './inspect.ts'
import { createSpfCheck } from '../../../shared/spf/spf-check.ts'
import type { SpfCheck } from '../../../shared/spf/spf-check.ts'
import { symbolsOf } from './symbols.ts'

export interface AuthenticationOptions {
  readonly resolver: Resolver
  readonly clock: Clock
  readonly hostname: string
  /** What DNS has not answered by then counts as temperror (RFC 7208 §4.6.4: 20 s at least). */
  readonly dnsMs?: number
  /** Shortest RSA key that proves something; 1024 when left out (RFC 8301 §3.2). */
  readonly minKeyBits?: number
  /** Whether an ARC seal of this domain is believed against a failed DMARC; nobody's when left out. @throws TableError */
  readonly trustsSealer?: (domain: string) => Promise<boolean>
  /** One for each core when left out. */
  readonly threads?: number
}

/** Shorter messages are inspected at once: 64 KB take 0.1 ms, the way into a thread and back half of that. */
const inPlaceBytes = 65_536
/** 50 MB take about 0.3 s. */
const wallMs = 10_000

/**
 * SPF, DKIM, DMARC and ARC. Octets are parsed, hashed and made canonical in one pass, in a thread when there are many;
 * DNS is asked here, through the one resolver of the process, so that its cache and its questions in flight are shared.
 */
export function createAuthenticationEngine(options: AuthenticationOptions): Engine {
  const spf = createSpfCheck(options)
  const pool: WorkerPool<InspectTask, Inspection> = createWorkerPool({
    file: workerFile('./inspect.ts', import.meta.url),
    wallMs,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  })
  return {
    name: 'authentication',
    applies: isFromStranger,
    scan: (message, signal) => authenticate(message, signal, { ...options, spf, pool }),
    close: () => pool.close(),
  }
}

/** Mail made here or sent by a signed-in user has no other administration to prove itself to. */
export function isFromStranger({ origin }: Envelope): boolean {
  return origin.kind === 'smtp' && origin.user === undefined
}

interface Parts extends AuthenticationOptions {
  readonly spf: SpfCheck
  readonly pool: WorkerPool<InspectTask, Inspection>
}

async function authenticate(message: ScanMessage, signal: AbortSignal, parts: Parts): Promise<EngineResult> {
  const startedAt = performance.now()
  const deadline = createDeadline(parts.dnsMs ?? 20_000)
  try {
    const checks = await runChecks(message, signal, parts, deadline)
    const symbols = symbolsOf(checks)
    const finding = dmarcFinding(checks, message.envelope)
    return {
      status: 'ok',
      score: symbols.reduce((sum, symbol) => sum + symbol.score, 0),
      symbols,
      tookMs: performance.now() - startedAt,
      ...demandOf(checks),
      authentication: findingsOf(checks),
      ...(finding === undefined ? {} : { dmarc: finding }),
    }
  } finally {
    deadline.clear()
  }
}

/** After the 250 `p=reject` means junk: the bounce would hit the forged sender. */
function demandOf({ dmarc }: Authentication): Pick<EngineResult, 'demand'> {
  if (dmarc.disposition === 'none') return {}
  return { demand: { action: 'junk', kind: 'spam', reason: `DMARC policy ${dmarc.disposition} of ${dmarc.domain}` } }
}

async function runChecks(
  message: ScanMessage,
  signal: AbortSignal,
  { resolver, spf: spfCheck, pool, minKeyBits, trustsSealer }: Parts,
  deadline: Deadline,
): Promise<Authentication> {
  const { envelope } = message
  const txt = (name: string): ReturnType<Resolver['txt']> =>
    deadline.or(resolver.txt(name), { kind: 'failed', error: new Error('no answer in time') })
  const options = { txt, atMs: envelope.receivedAt, ...(minKeyBits === undefined ? {} : { minKeyBits }) }
  const spfRunning = spfCheck.check(envelope)
  spfRunning.catch(() => {})
  const inspection = await inspectMessage(message, signal, pool)
  // Asked for last and needed always: on its way while the others are looked up.
  if (inspection.authors[0] !== undefined) void resolver.txt(`_dmarc.${inspection.authors[0]}`)
  const [spf, dkim, arc] = await Promise.all([
    deadline.or(spfRunning, undefined),
    Promise.all(inspection.dkim.map((one) => verifySignature(one, options))),
    verifyArc(inspection.arc, options),
  ])
  const spfResult = spf ?? spfCheck.late(envelope)
  const proof = { ...inspection, spf: spfResult, dkim, sample: sampleOf(envelope.id) }
  const checked = await checkDmarc(proof, txt)
  const dmarc = trustsSealer === undefined ? checked : await overriddenByArc(checked, arc, trustsSealer)
  return { spf: spfResult, dkim, dmarc, arc }
}

async function inspectMessage(
  message: ScanMessage,
  signal: AbortSignal,
  pool: WorkerPool<InspectTask, Inspection>,
): Promise<Inspection> {
  const content = await message.content()
  const header = message.header
  const body = content.subarray(header.length)
  if (content.length <= inPlaceBytes) return inspect({ header, body })
  const task = { header: ownCopy(header), body: ownCopy(body) }
  return pool.run(task, { signal, transfer: [task.header.buffer, task.body.buffer] })
}

/** 0 to 99 from the random part of the id: the same at each attempt. */
function sampleOf(id: MessageId): number {
  return Number.parseInt(id.slice(-4), 36) % 100
}

/** One timer for all look-ups of a message. */
interface Deadline {
  or<T, L>(answer: Promise<T>, late: L): Promise<T | L>
  clear(): void
}

function createDeadline(ms: number): Deadline {
  let timer: NodeJS.Timeout | undefined
  const passed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  return {
    or: (answer, late) => Promise.race([answer, passed.then(() => late)]),
    clear: () => clearTimeout(timer),
  }
}
