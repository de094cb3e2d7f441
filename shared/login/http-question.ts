import { readFile } from 'node:fs/promises'

import { LoginUnavailableError } from './login-backend.ts'

export interface HttpQuestion {
  /** Whose it is, for errors. */
  readonly name: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly timeoutMs: number
}

export interface HttpAnswer {
  readonly status: number
  /** Undefined when the body is no JSON object. */
  readonly fields: Readonly<Record<string, unknown>> | undefined
}

const maxAnswerOctets = 65_536

/** One POST; no redirection is followed, since a password goes along. @throws LoginUnavailableError without an answer in time */
export async function askHttp({ name, url, headers, body, timeoutMs }: HttpQuestion): Promise<HttpAnswer> {
  const unavailable = (error: unknown): never => {
    throw new LoginUnavailableError(`${name}: ${reasonOf(error)}`, { cause: error })
  }
  const signal = AbortSignal.timeout(timeoutMs)
  const response = await fetch(url, {
    method: 'POST',
    headers: { accept: 'application/json', ...headers },
    body,
    signal,
    redirect: 'error',
  }).catch(unavailable)
  const text = await limitedText(response).catch(unavailable)
  return { status: response.status, fields: objectIn(text) }
}

/** Read at each use: a secret that was changed counts at once. @throws LoginUnavailableError */
export async function secretIn(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    throw new LoginUnavailableError(`${path}: ${reasonOf(error)}`, { cause: error })
  }
}

async function limitedText(response: Response): Promise<string> {
  const parts: Buffer[] = []
  let octets = 0
  for await (const part of response.body ?? []) {
    octets += part.length
    if (octets > maxAnswerOctets) throw new Error('the answer is too long')
    parts.push(Buffer.from(part))
  }
  return Buffer.concat(parts).toString('utf8')
}

function objectIn(text: string): HttpAnswer['fields'] {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/** What fetch throws says why only in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
