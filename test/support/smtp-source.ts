import { findPeer } from './peer.ts'
import { run } from './process.ts'

export interface LoadOptions {
  readonly port: number
  readonly messages: number
  readonly sessions?: number
  /** Octets of the body. */
  readonly bytes?: number
  /** Many messages per connection. */
  readonly reuse?: boolean
  readonly from?: string
  readonly to?: string
  /** Goes on after a refusal instead of ending with an error. */
  readonly tolerant?: boolean
  readonly subject?: string
  readonly timeoutMs?: number
}

/** Postfix's smtp-source, run to its end; resolves with the time it took. @throws Error when any message was refused. */
export async function runSmtpSource(options: LoadOptions): Promise<{ readonly durationMs: number }> {
  const startedAt = performance.now()
  const finished = await run(findPeer('smtp-source') ?? 'smtp-source', argumentsOf(options), {
    timeoutMs: options.timeoutMs ?? 300_000,
  })
  if (finished.code !== 0) throw new Error(`smtp-source: ${finished.stderr.trim().slice(-1000)}`)
  return { durationMs: performance.now() - startedAt }
}

function argumentsOf(options: LoadOptions): readonly string[] {
  const { sessions = 20, messages, bytes = 4096, from = 'sender@remote.test', to = 'jane@sluice.test' } = options
  const valued = {
    s: sessions,
    m: messages,
    l: bytes,
    f: from,
    t: to,
    M: 'source.remote.test',
    C: 20,
    S: options.subject,
  }
  return [
    ...Object.entries(valued).flatMap(([name, value]) => (value === undefined ? [] : [`-${name}`, `${value}`])),
    ...(options.reuse === true ? ['-d'] : []),
    ...(options.tolerant === true ? ['-A'] : []),
    `127.0.0.1:${options.port}`,
  ]
}
