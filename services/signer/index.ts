import type { Configuration } from '../../shared/config/model.ts'
import { authorDomains } from '../../shared/dkim/author-domain.ts'
import { prependedFields } from '../../shared/dkim/prepended-fields.ts'
import { rawFields, rawValue } from '../../shared/dkim/raw-field.ts'
import type { SealingOptions } from '../../shared/dkim/seal.ts'
import type { SigningOptions } from '../../shared/dkim/sign.ts'
import { parseTagList } from '../../shared/dkim/tag-list.ts'
import { domainOf } from '../../shared/mail/address.ts'
import { pass, reject } from '../../shared/mail/disposition.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import { applyEdits, editMessage } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { replies } from '../../shared/mail/reply.ts'
import { tag } from '../../shared/mail/tag.ts'
import { sevenBitNeed, sevenBitView } from '../../shared/pipeline/seven-bit-view.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { ServiceContext } from '../../shared/service.ts'
import type { SpooledMessage } from '../../shared/spool/spool.ts'
import { inSpan } from '../../shared/tracing/span.ts'
import { workerFile } from '../../shared/workers/start-worker.ts'
import type { WorkerPool } from '../../shared/workers/worker-pool.ts'
import { createWorkerPool, ownCopy } from '../../shared/workers/worker-pool.ts'
import { createKeyRing } from './key-ring.ts'
import type { KeyRing, SigningKey } from './key-ring.ts'
import { sealingOf } from './sealing.ts'
import sign from './sign-worker.ts'
import type { Signed, SignTask } from './sign-worker.ts'
import { streamedDigests } from './streamed-digests.ts'

/** DKIM-signs with the key of the author's domain (RFC 6376), and seals what others sent (RFC 8617). A message whose key cannot be used waits; it never leaves unsigned. */
export default defineStage({ name: 'signer', queue: 'sign', dry: true, open: (context) => openSigner(context) })

type SignerPool = WorkerPool<SignTask, Signed>

/** The keys of a configuration: those of authors' domains, and the one that seals. */
interface KeyRings {
  readonly dkim: KeyRing
  readonly arc: KeyRing
}

/** Time for one message in a thread; RSA-2048 takes 0.25 ms, hashing a body some more. */
const wallMs = 20_000
/** Above this the body is hashed as it streams by, never in memory as a whole: 64 KB take 0.3 ms at most. */
const inMemoryBytes = 1_048_576
/** Above this hashing takes longer than the way into a thread and back. */
const inPlaceBytes = 32_768

/** @param threads one for each core when left out. */
export async function openSigner(
  context: ServiceContext,
  threads?: number,
): Promise<OpenStage & { health(): Promise<readonly string[]> }> {
  const { clock, log, resolver } = context
  const rings = new WeakMap<Configuration['pipeline'], KeyRings>()
  /** Those of the configuration in force: a message is signed with the keys it found when its turn came. */
  const ringsOf = ({ pipeline }: Configuration): KeyRings => {
    const { dkim, arcSeal } = pipeline
    const known = rings.get(pipeline) ?? {
      dkim: createKeyRing({ entries: dkim, log, clock, resolver }),
      arc: createKeyRing({ entries: arcSeal === undefined ? [] : [arcSeal], log, clock, resolver }),
    }
    rings.set(pipeline, known)
    return known
  }
  const trouble = async ({ dkim, arc }: KeyRings): Promise<readonly string[]> => [
    ...(await dkim.trouble()),
    ...(await arc.trouble()),
  ]
  const pool: SignerPool = createWorkerPool({
    file: workerFile('./sign-worker.ts', import.meta.url),
    wallMs,
    ...(threads === undefined ? {} : { threads }),
  })
  await trouble(ringsOf(context.configuration))
  return {
    handle: (message, stageContext) => signStage(message, stageContext, ringsOf(stageContext.configuration), pool),
    health: () => trouble(ringsOf(context.configuration)),
    close: () => pool.close(),
  }
}

async function signStage(
  given: StageMessage,
  context: StageContext,
  rings: KeyRings,
  pool: SignerPool,
): Promise<Disposition> {
  const { id } = given.envelope
  const { pipeline } = context.configuration
  const signed = tag(pipeline.queues.get('sign')?.tag ?? 'Signed')
  const domains = signingDomains(applyEdits(await given.stored.header(), given.edits), given)
  const choice = await rings.dkim.choose(domains)
  const sealing = await sealingOf(given, context.configuration, rings.arc)
  for (const one of [choice, sealing]) {
    if (one?.kind !== 'unusable') continue
    context.log.error({ id, reason: one.reason }, 'not signed: the message waits for its DKIM key')
    return reject(replies.tryLater)
  }
  if (choice.kind === 'none' && sealing === undefined)
    context.log.info({ id, domain: domains[0] }, 'not signed: no DKIM key is configured for this domain')
  const keys = choice.kind === 'keys' ? choice.keys.filter((key) => !isSignedBy(key, given.edits)) : []
  const options = sealing?.kind === 'seal' ? sealing.options : undefined
  if (keys.length === 0 && options === undefined) return pass(signed)
  const message = pipeline.dkimSevenBit && keys.length > 0 ? await inSevenBit(given) : given
  const told = { attributes: { 'sluice.keys': keys.map(({ domain, selector }) => `${selector}._domainkey.${domain}`) } }
  const { signatures, seal } = await inSpan(context.span, 'sign', told, () =>
    signWith({ keys, seal: options }, message, context.signal, pool),
  )
  for (const { domain, selector, key } of keys)
    context.events.signed({ id, domain, selector, algorithm: `${key.type}-sha256` })
  if (seal !== undefined && options !== undefined) tellSealed(id, options, context)
  const fields = [...(seal === undefined ? [] : [seal]), ...signatures].join('')
  const encoded: readonly HeaderEdit[] = message === given ? [] : [{ kind: 'seven-bit' }]
  return pass(signed, fields === '' ? encoded : [...encoded, { kind: 'prepend', fields }])
}

/** Encoded before it is signed, so that no host on the way has to; what is signed already, by us or others, stays as it is. */
async function inSevenBit(message: StageMessage): Promise<StageMessage> {
  if (prependedFields(message.edits, 'dkim-signature').length > 0) return message
  if ((await sevenBitNeed(message.stored)).kind !== 'conversion') return message
  const stored = await sevenBitView(message.stored)
  return { ...message, stored, sizeBytes: stored.locator.sizeBytes }
}

function tellSealed(id: MessageId, { domain, selector, key }: SealingOptions, { events }: StageContext): void {
  events.signed({ id, domain, selector, algorithm: `${key.type}-sha256`, arc: true })
}

/** The author's domain, then the one of the reverse-path. */
function signingDomains(header: Buffer, message: StageMessage): readonly string[] {
  const from = rawFields(header).find((field) => field.name === 'from')
  const authors = from === undefined ? [] : authorDomains(rawValue(from.raw)).slice(0, 1)
  const { reversePath } = message.envelope
  return reversePath === null ? authors : [...authors, domainOf(reversePath)]
}

/** A second run, or a message that comes by again, is not signed twice. */
function isSignedBy(key: SigningKey, edits: readonly HeaderEdit[]): boolean {
  return prependedFields(edits, 'dkim-signature')
    .map((raw) => parseTagList(rawValue(raw)))
    .some((tags) => tags?.get('d') === key.domain && tags.get('s') === key.selector)
}

async function signWith(
  { keys, seal }: { readonly keys: readonly SigningKey[]; readonly seal: SealingOptions | undefined },
  { stored, envelope, edits }: StageMessage,
  signal: AbortSignal,
  pool: SignerPool,
): Promise<Signed> {
  const edited = editMessage(await stored.header(), edits)
  const { header } = edited
  const signatures = keys.map((key) => signingOptions(key, envelope.receivedAt))
  const work = { signatures, ...(seal === undefined ? {} : { seal }) }
  const asked = seal === undefined ? signatures : [...signatures, seal]
  const isRsa = asked.some(({ key }) => key.type === 'rsa')
  if (stored.locator.sizeBytes > inMemoryBytes) {
    const forms = new Set([...keys.map((key) => key.body), ...(seal === undefined ? [] : ['relaxed' as const])])
    const body = await streamedDigests(streamedBody(stored, edited), forms, signal)
    const task = { header: ownCopy(header), body, ...work }
    return isRsa ? pool.run(task, { signal, transfer: [task.header.buffer] }) : sign(task)
  }
  const body = await wholeBody(stored, edited)
  if (!isRsa && body.length <= inPlaceBytes) return sign({ header, body, ...work })
  const task = { header: ownCopy(header), body: ownCopy(body), ...work }
  return pool.run(task, { signal, transfer: [task.header.buffer, task.body.buffer] })
}

type Edited = ReturnType<typeof editMessage>

async function wholeBody(stored: SpooledMessage, { before, after }: Edited): Promise<Buffer> {
  const own = (await stored.content()).subarray(stored.locator.headerBytes)
  return before.length + after.length === 0 ? own : Buffer.concat([before, own, after])
}

async function* streamedBody(stored: SpooledMessage, { before, after }: Edited): AsyncIterable<Buffer> {
  yield before
  yield* stored.stream(stored.locator.headerBytes) as AsyncIterable<Buffer>
  yield after
}

/** t= is the time of acceptance: the same message gets the same signature whenever and however often it is signed. */
function signingOptions(key: SigningKey, receivedAt: number): SigningOptions {
  const { expireMs, ...options } = key
  const signedAt = Math.trunc(receivedAt / 1000)
  return {
    ...options,
    signedAt,
    ...(expireMs === undefined ? {} : { expiresAt: signedAt + Math.trunc(expireMs / 1000) }),
  }
}
