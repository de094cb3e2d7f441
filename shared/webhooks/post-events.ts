import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'

import type { WebhookSetting } from '../config/model.ts'
import { withinTime } from '../deadline.ts'
import { lookupBy, post } from '../post.ts'
import type { Resolver } from '../resolver.ts'

export interface PostEventsParts {
  readonly resolver: Pick<Resolver, 'a' | 'aaaa'>
  readonly signal: AbortSignal
  /** File of the authorities that certificates are checked with. */
  readonly tlsCa?: string | undefined
  readonly nowAt: number
}

const timeoutMs = 10_000

/**
 * Posts events as a JSON array, signed with the secret as it is in its file now. 2xx means taken; redirects are not followed.
 * @throws Error that says why they were not taken
 */
export async function postEvents(
  { url, secretFile }: Pick<WebhookSetting, 'url' | 'secretFile'>,
  { id, events }: { readonly id: string; readonly events: readonly string[] },
  { resolver, signal, tlsCa, nowAt }: PostEventsParts,
): Promise<void> {
  const to = new URL(url)
  const body = Buffer.from(`[${events.join(',')}]`)
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'Sluice',
    'sluice-event-id': id,
    'sluice-signature': signatureOf(body, await secretIn(secretFile), Math.floor(nowAt / 1_000)),
  }
  const ca = tlsCa === undefined ? {} : { ca: await readFile(tlsCa, 'utf8') }
  const code = await withinTime(signal, timeoutMs, `${to.host} gave no answer`, async (limited) => {
    const lookup = isNamedByTheSystem(to.hostname) ? {} : { lookup: await lookupBy(resolver, to.hostname) }
    return post({ url: to, headers, body, signal: limited, ...ca, ...lookup })
  })
  if (code < 200 || code > 299) throw new Error(`${to.host} answered ${code}`)
}

/** One event `test`, made up now. @returns its id. @throws Error that says why it was not taken */
export async function postTest(
  setting: Pick<WebhookSetting, 'url' | 'secretFile'>,
  host: string,
  parts: PostEventsParts,
): Promise<string> {
  const id = `test-${parts.nowAt}`
  const events = [JSON.stringify({ eventId: id, at: parts.nowAt, event: 'test', host })]
  await postEvents(setting, { id, events }, parts)
  return id
}

/** `t=SECONDS,v1=HEX`: HMAC-SHA-256 of the seconds, a dot and the body. */
export function signatureOf(body: Buffer, secret: string, seconds: number): string {
  const mac = createHmac('sha256', secret).update(`${seconds}.`).update(body).digest('hex')
  return `t=${seconds},v1=${mac}`
}

/** @throws Error */
async function secretIn(path: string): Promise<string> {
  const secret = (await readFile(path, 'utf8')).trim()
  if (secret === '') throw new Error(`${path} is empty: it should hold the secret`)
  return secret
}

/** `localhost`, names of containers, and addresses. */
function isNamedByTheSystem(hostname: string): boolean {
  return !hostname.includes('.') || isIP(hostname) !== 0
}
