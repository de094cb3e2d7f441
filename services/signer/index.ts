import type { Configuration, DkimKey } from '../../shared/config/model.ts'
import { authorDomains } from '../../shared/dkim/author-domain.ts'
import { rawFields, rawValue } from '../../shared/dkim/raw-field.ts'
import type { SigningOptions } from '../../shared/dkim/sign.ts'
import { parseTagList } from '../../shared/dkim/tag-list.ts'
import { domainOf } from '../../shared/mail/address.ts'
import { pass, reject } from '../../shared/mail/disposition.ts'
import type { Disposition } from '../../shared/mail/disposition.ts'
import { applyEdits } from '../../shared/mail/header-edit.ts'
import type { HeaderEdit } from '../../shared/mail/header-edit.ts'
import { replies } from '../../shared/mail/reply.ts'
import { tag } from '../../shared/mail/tag.ts'
import type { OpenStage, StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { workerFile } from '../../shared/workers/start-worker.ts'
import type { WorkerPool } from '../../shared/workers/worker-pool.ts'
import { createWorkerPool, ownCopy } from '../../shared/workers/worker-pool.ts'
import { createKeyRing } from './key-ring.ts'
import type { KeyRing, SigningKey } from './key-ring.ts'
import sign from './sign-worker.ts'
import type { SignTask } from './sign-worker.ts'

/** DKIM-signs with the key of the author's domain (RFC 6376). A message whose key cannot be used waits; it never leaves unsigned. */
export default defineStage({ name: 'signer', queue: 'sign', open: (context) => openSigner(context) })

type SignerPool = WorkerPool<SignTask, readonly string[]>

/** Time for one message in a thread; RSA-2048 takes 0.25 ms, 50 MB of body under a second. */
const wallMs = 20_000
/** Above this hashing takes longer than the way into a thread and back. */
const inPlaceBytes = 32_768

/** @param threads one for each core when left out. */
export async function openSigner(
  context: ServiceContext,
  threads?: number,
): Promise<OpenStage & { health(): Promise<readonly string[]> }> {
  const { clock, log } = context
  const rings = new WeakMap<readonly DkimKey[], KeyRing>()
  /** That of the configuration in force: a message is signed with the keys it found when its turn came. */
  const ringOf = ({ pipeline: { dkim: entries } }: Configuration): KeyRing => {
    const known = rings.get(entries) ?? createKeyRing({ entries, log, clock })
    rings.set(entries, known)
    return known
  }
  const pool: SignerPool = createWorkerPool({
    file: workerFile('./sign-worker.ts', import.meta.url),
    wallMs,
    ...(threads === undefined ? {} : { threads }),
  })
  await ringOf(context.configuration).trouble()
  return {
    handle: (message, stageContext) => signStage(message, stageContext, ringOf(stageContext.configuration), pool),
    health: () => ringOf(context.configuration).trouble(),
    close: () => pool.close(),
  }
}

async function signStage(
  message: StageMessage,
  context: StageContext,
  ring: KeyRing,
  pool: SignerPool,
): Promise<Disposition> {
  const { id } = message.envelope
  const signed = tag(context.configuration.pipeline.queues.get('sign')?.tag ?? 'Signed')
  const header = applyEdits(await message.stored.header(), message.edits)
  const domains = signingDomains(header, message)
  const choice = await ring.choose(domains)
  switch (choice.kind) {
    case 'none':
      context.log.info({ id, domain: domains[0] }, 'not signed: no DKIM key is configured for this domain')
      return pass(signed)
    case 'unusable':
      context.log.error({ id, reason: choice.reason }, 'not signed: the message waits for its DKIM key')
      return reject(replies.tryLater)
    case 'keys': {
      const keys = choice.keys.filter((key) => !isSignedBy(key, message.edits))
      if (keys.length === 0) return pass(signed)
      const fields = await signWith(keys, header, message, context.signal, pool)
      for (const { domain, selector, key } of keys)
        context.events.signed({ id, domain, selector, algorithm: `${key.type}-sha256` })
      return pass(signed, [{ kind: 'prepend', fields: fields.join('') }])
    }
  }
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
  return edits
    .flatMap((edit) => (edit.kind === 'prepend' ? rawFields(Buffer.from(edit.fields)) : []))
    .filter((field) => field.name === 'dkim-signature')
    .map((field) => parseTagList(rawValue(field.raw)))
    .some((tags) => tags?.get('d') === key.domain && tags.get('s') === key.selector)
}

async function signWith(
  keys: readonly SigningKey[],
  header: Buffer,
  message: StageMessage,
  signal: AbortSignal,
  pool: SignerPool,
): Promise<readonly string[]> {
  const { stored, envelope } = message
  const body = (await stored.content()).subarray(stored.locator.headerBytes)
  const signatures = keys.map((key) => signingOptions(key, envelope.receivedAt))
  const costly = body.length > inPlaceBytes || signatures.some(({ key }) => key.type === 'rsa')
  if (!costly) return sign({ header, body, signatures })
  const task = { header: ownCopy(header), body: ownCopy(body), signatures }
  return pool.run(task, { signal, transfer: [task.header.buffer, task.body.buffer] })
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
