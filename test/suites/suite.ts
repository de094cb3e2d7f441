import { Readable } from 'node:stream'

import { createAuthenticationEngine } from '../../services/filter/authentication/engine.ts'
import type { AuthenticationFindings, EngineResult } from '../../services/filter/engine.ts'
import { headerLength, testEnvelope } from '../../services/filter/testing.ts'
import type { Origin } from '../../shared/mail/envelope.ts'
import { createResolver } from '../../shared/resolver.ts'
import { type DnsZone, startDns } from '../support/dns.ts'

/** One case of a suite that is not ours. */
export interface Outcome {
  readonly name: string
  readonly wanted: readonly string[]
  readonly got: string
  /** What was said beside the result. */
  readonly note?: string
}

export interface Mail {
  readonly content: Buffer
  readonly origin: Origin
  readonly reversePath: string | null
}

export interface Verdicts {
  readonly findings: AuthenticationFindings
  readonly symbols: EngineResult['symbols']
}

const hostname = 'mx.sluice.example'

/** Asks our authentication engine, whole and as it runs, over real DNS packets: from a name server with that zone. */
export async function withEngine<T>(
  zone: DnsZone,
  run: (judge: (mail: Mail) => Promise<Verdicts>) => Promise<T>,
  minKeyBits = 1024,
): Promise<T> {
  const dns = await startDns(zone)
  const resolver = createResolver({ servers: [dns.address], timeoutMs: 250, tries: 1 })
  const engine = createAuthenticationEngine({ resolver, clock: { now: Date.now }, hostname, threads: 1, minKeyBits })
  try {
    return await run(async ({ content, origin, reversePath }) => {
      const { authentication, symbols } = await engine.scan(
        {
          envelope: { ...testEnvelope(origin, reversePath), receivedAt: Date.now() },
          header: content.subarray(0, headerLength(content)),
          content: async () => content,
          stream: () => Readable.from([content]),
          received: Buffer.alloc(0),
          sizeBytes: content.length,
        },
        new AbortController().signal,
      )
      if (authentication === undefined) throw new Error('the engine found nothing')
      return { findings: authentication, symbols }
    })
  } finally {
    await engine.close()
    resolver.close()
    await dns.stop()
  }
}

/** `pass` of `spf=pass smtp.mailfrom=...`. */
export function resultOf(finding: string | undefined): string {
  return /^[a-z]+=([a-z]+)/.exec(finding ?? '')?.[1] ?? ''
}

/** Line ends of a file as a message has them. */
export function withCrlf(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\r?\n/g, '\r\n'), 'latin1')
}
