import { findPeer } from './peer.ts'
import { type Finished, run } from './process.ts'

/** swaks, run to its end; the transcript is in stdout. Its exit code says at which step it was refused (24: RCPT, 28: AUTH). */
export function swaks(args: readonly string[]): Promise<Finished> {
  return run(findPeer('swaks') ?? 'swaks', args, { timeoutMs: 120_000 })
}
