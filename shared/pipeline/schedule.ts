/** Base of the quadratic schedule (smtpd.conf, OpenSMTPD's scheduler): 400 s for a relay, 10 s for what stays on this host. */
export function retryBaseMs(queue: string): number {
  return queue === 'relay' ? 400_000 : 10_000
}

export interface Schedule {
  /** Epoch ms of acceptance. */
  readonly receivedAt: number
  /** Failed attempts so far, the one just made included. */
  readonly attempts: number
  readonly baseMs: number
  readonly nowAt: number
  /** 0 to 1; spreads herds by ±10 %. 0.5 changes nothing. */
  readonly spread: number
}

/**
 * Epoch ms of the next attempt: `receivedAt + base * n²`, n counted up from the number of failed attempts until that lies ahead.
 * Counts from acceptance, so that a queue rebuilt from the spool keeps its schedule.
 */
export function nextAttemptAt(schedule: Schedule): number {
  const { receivedAt, attempts, baseMs, nowAt, spread } = schedule
  const ageInBases = Math.max(0, nowAt - receivedAt) / baseMs
  const n = Math.max(attempts, Math.floor(Math.sqrt(ageInBases)) + 1)
  const delayMs = receivedAt + baseMs * n * n - nowAt
  return Math.round(nowAt + delayMs * (0.9 + 0.2 * spread))
}
