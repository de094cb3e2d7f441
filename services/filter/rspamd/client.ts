import http from 'node:http'
import https from 'node:https'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'

import type { Envelope } from '../../../shared/mail/envelope.ts'
import type { ScanMessage, ScanSymbol } from '../engine.ts'

/** What Rspamd says about a message (`/checkv2`). */
export interface RspamdReply {
  readonly score: number
  /** The score from which Rspamd would refuse it. */
  readonly required: number
  /** `no action`, `greylist`, `add header`, `rewrite subject`, `soft reject`, `reject`, `quarantine`, `discard`. */
  readonly action: string
  /** What it would tell the sender. */
  readonly text?: string
  readonly symbols: readonly ScanSymbol[]
}

export class RspamdError extends Error {
  override readonly name = 'RspamdError'
}

export interface RspamdClient {
  /** `too long`: longer than its `max_message`. @throws RspamdError, the socket's error, the reason of `signal` */
  check(message: ScanMessage, signal: AbortSignal): Promise<RspamdReply | 'too long'>
  close(): void
}

const mostConnections = 10
const mostReplyBytes = 4 * 1024 * 1024

/** Keeps connections open and uses them again. @param base `http://host:11333`, with a path before `/checkv2` if it has one */
export function createRspamdClient(base: string): RspamdClient {
  const url = new URL('checkv2', base.endsWith('/') ? base : `${base}/`)
  const protocol = url.protocol === 'https:' ? https : http
  const agent = new protocol.Agent({ keepAlive: true, maxSockets: mostConnections })

  async function check(message: ScanMessage, signal: AbortSignal): Promise<RspamdReply | 'too long'> {
    const answer = await post(message, signal, true)
    if (answer.status === 413) return 'too long'
    if (answer.status !== 200) throw new RspamdError(`Rspamd answers ${answer.status}`)
    return readReply(answer.body)
  }

  /** A kept connection may have been closed by the other end in this moment: then once more, on a fresh one. */
  async function post(message: ScanMessage, signal: AbortSignal, mayRepeat: boolean): Promise<Answer> {
    const request = protocol.request(url, { method: 'POST', agent, signal, headers: headersOf(message) })
    const content = message.stream()
    try {
      return await new Promise<Answer>((resolve, reject) => {
        request.once('response', (response) => void readAnswer(response).then(resolve, reject))
        request.on('error', reject)
        content.once('error', (error: Error) => request.destroy(error))
        content.pipe(request)
      })
    } catch (error) {
      signal.throwIfAborted()
      const isStale = request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET'
      if (!isStale || !mayRepeat) throw error
      return await post(message, signal, false)
    } finally {
      content.destroy()
    }
  }

  return { check, close: () => agent.destroy() }
}

interface Answer {
  readonly status: number
  readonly body: string
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > mostReplyBytes) throw new RspamdError('Rspamd answers without end')
    chunks.push(chunk)
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }
}

/** What Rspamd wants to know of the session beside the message. */
function headersOf({ envelope, sizeBytes }: ScanMessage): OutgoingHttpHeaders {
  const { origin, reversePath, recipients, id } = envelope
  const known: Readonly<Record<string, string | undefined>> = {
    IP: origin.address,
    Helo: origin.helo,
    Hostname: origin.rdns,
    User: origin.user,
    ...tlsHeaders(origin),
    From: `<${reversePath ?? ''}>`,
    'Queue-Id': id,
  }
  const headers: OutgoingHttpHeaders = { 'Content-Length': sizeBytes }
  for (const [name, value] of Object.entries(known)) if (value !== undefined) headers[name] = octets(value)
  headers['Rcpt'] = recipients.slice(0, mostRecipients).map(({ mailbox }) => octets(`<${mailbox}>`))
  return headers
}

/** Node refuses a header of many thousand lines; nobody's score follows from them. */
const mostRecipients = 100

function tlsHeaders({ tls }: Envelope['origin']): Readonly<Record<string, string>> {
  return tls === undefined ? {} : { 'TLS-Version': tls.version, 'TLS-Cipher': tls.cipher }
}

/** UTF-8 in the letters HTTP has, and nothing that ends a line. */
function octets(text: string): string {
  return Buffer.from(text.replaceAll(/[\x00-\x1f\x7f]/g, '?')).toString('latin1')
}

/** @throws RspamdError */
function readReply(body: string): RspamdReply {
  const reply = parseObject(body)
  const { score, action, required_score: required, symbols, messages } = reply
  if (typeof score !== 'number' || !Number.isFinite(score) || typeof action !== 'string')
    throw new RspamdError('Rspamd answers without a score and an action')
  return {
    score,
    required: typeof required === 'number' ? required : 0,
    action,
    ...(isObject(messages) && typeof messages['smtp_message'] === 'string' ? { text: messages['smtp_message'] } : {}),
    symbols: isObject(symbols) ? Object.entries(symbols).flatMap(([name, symbol]) => readSymbol(name, symbol)) : [],
  }
}

/** Symbols that count for nothing are many, and left out. */
function readSymbol(name: string, symbol: unknown): readonly ScanSymbol[] {
  if (!isObject(symbol) || typeof symbol['score'] !== 'number' || symbol['score'] === 0) return []
  const { score, description, options } = symbol
  const examples = Array.isArray(options) ? options.filter((one) => typeof one === 'string').slice(0, 3) : []
  const words = [...(typeof description === 'string' ? [description] : []), ...examples]
  return [{ name: name.replaceAll(/[^\w.-]/g, '_'), score: Math.round(score * 100) / 100, text: words.join('; ') }]
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value
  } catch {
    // Told below.
  }
  throw new RspamdError('Rspamd does not answer in JSON')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
