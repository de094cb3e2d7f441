import http from 'node:http'
import https from 'node:https'
import type { IncomingMessage } from 'node:http'

import type { ExternalTable, TableService } from '../config/external-table.ts'
import { keyTable } from './key-table.ts'
import type { KeyedSource } from './key-table.ts'

export interface HttpTableOptions {
  /** With `%s` for the key and `%t` for what it is asked for; without `%s` both follow as `?type=alias&key=...`. */
  readonly url: string
  /** For one answer, and as long for its last octet. */
  readonly timeoutMs: number
  readonly headers?: Readonly<Record<string, string>>
  /** Certificates in PEM, in place of the well-known authorities. */
  readonly ca?: string
}

const maxConnections = 20
const maximumAnswer = 100_000

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

export function openHttpTable(options: HttpTableOptions): ExternalTable {
  return keyTable(httpSource(options))
}

/**
 * Each key is a GET. 200 has the value, as text (several lines are several values) or JSON; 404 says that there is none. All else
 * is a temporary failure, and so is a redirection. Connections are kept.
 */
export function httpSource({ url, timeoutMs, headers = {}, ca }: HttpTableOptions): KeyedSource {
  const protocol = url.startsWith('https:') ? https : http
  const agent = new protocol.Agent({ keepAlive: true, maxSockets: maxConnections, ...(ca === undefined ? {} : { ca }) })
  const asked = new Set<AbortController>()

  async function get(target: string, mayRepeat: boolean): Promise<Answer> {
    const one = new AbortController()
    const { signal } = one
    const timer = setTimeout(() => one.abort(new Error('it did not answer in time')), timeoutMs)
    asked.add(one)
    const request = protocol.get(target, {
      agent,
      signal,
      headers: { accept: 'text/plain, application/json', ...headers },
    })
    try {
      return await new Promise<Answer>((resolve, reject) => {
        request.once('response', (response) => void answerOf(response).then(resolve, reject))
        request.on('error', reject)
      })
    } catch (error) {
      signal.throwIfAborted()
      if (!mayRepeat || !request.reusedSocket || !isHangUp(error)) throw error
      return await get(target, false)
    } finally {
      clearTimeout(timer)
      asked.delete(one)
    }
  }

  return {
    async lookup(key, service) {
      const { status, type, body } = await get(targetOf(url, key, service), true)
      if (status === 404) return undefined
      if (status !== 200) throw new Error(`it answered ${status}`)
      return /^application\/(?:[\w.-]+\+)?json\b/i.test(type) ? valueOfJson(body) : valueOfText(body)
    },
    async close() {
      for (const one of asked) one.abort(new Error('it is closed'))
      agent.destroy()
    },
  }
}

function isHangUp(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}

function targetOf(url: string, key: string, service: TableService): string {
  if (!url.includes('%s')) return `${url}${url.includes('?') ? '&' : '?'}type=${service}&key=${encodeURIComponent(key)}`
  return url.replace(/%[st]/g, (sign) => encodeURIComponent(sign === '%s' ? key : service))
}

async function answerOf(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  let octets = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    octets += chunk.length
    if (octets > maximumAnswer) throw new Error('its answer is too long')
    chunks.push(chunk)
  }
  const { statusCode = 0, headers } = response
  return { status: statusCode, type: headers['content-type'] ?? '', body: Buffer.concat(chunks).toString('utf8') }
}

function valueOfText(body: string): string {
  const lines = body.split(/\r?\n/).map((line) => line.trim())
  return lines.filter((line) => line !== '').join(', ')
}

/** A text, a number, a list of them, or `{ "value": ... }` of one; `true` is there without a value, `false` and `null` are not. */
function valueOfJson(body: string): string | undefined {
  const read: unknown = JSON.parse(body)
  const value: unknown = typeof read === 'object' && read !== null && 'value' in read ? read.value : read
  if (value === null || value === false) return undefined
  if (value === true) return ''
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  const texts = values.filter((one) => typeof one === 'string' || typeof one === 'number')
  if (texts.length !== values.length) throw new Error('its JSON is no text and no list of texts')
  return texts.length === 0 ? undefined : texts.join(', ')
}
