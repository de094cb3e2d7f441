import type { Configuration } from '../../shared/config/model.ts'
import type { JobView } from '../../shared/report/views.ts'
import { visible } from './terminal.ts'

/**
 * The lines of `smtpctl show queue` (smtpctl(8)), one for each recipient, for scripts that read them: envelope id, address family, agent, flags,
 * sender, recipient, destination, creation, expiry, last attempt, attempts, run state, seconds, last error. The id is that of the message, which
 * the commands of sluicectl take. The family of the client's address is `?`, as smtpctl has it where it is not known; who is held is `suspend`.
 */
export function smtpctlLines(
  job: JobView,
  configuration: Pick<Configuration, 'actions' | 'queueTtlMs'>,
  nowAt: number,
): readonly string[] {
  const { id, from, to, action, receivedAt, startedAt, attempts, state, lastReply, reason } = job
  const ttlMs = ttlMsOf(action, configuration)
  const agent = agentOf(job)
  const flags = state === 'held' ? 'suspend' : ''
  const error = visible(lastReply ?? reason ?? '')
  return to.map((recipient) =>
    [
      id,
      '?',
      agent,
      flags,
      visible(from ?? '@'),
      visible(recipient),
      visible(recipient),
      seconds(receivedAt),
      seconds(receivedAt + ttlMs),
      startedAt === undefined ? 0 : seconds(startedAt),
      attempts,
      ...runState(job, nowAt),
      error,
    ].join('|'),
  )
}

/** Seconds until the next attempt, below 0 when it is due; or since it is at work. */
function runState({ state, nextAt, startedAt }: JobView, nowAt: number): readonly (string | number)[] {
  if (state === 'active') return ['inflight', seconds(Math.max(0, nowAt - (startedAt ?? nowAt)))]
  return ['pending', nextAt === undefined ? 0 : seconds(nextAt - nowAt)]
}

export function agentOf({ queue }: Pick<JobView, 'queue'>): 'mda' | 'mta' {
  return queue === 'deliver' ? 'mda' : 'mta'
}

export function ttlMsOf(
  action: string | undefined,
  { actions, queueTtlMs }: Pick<Configuration, 'actions' | 'queueTtlMs'>,
): number {
  return (action === undefined ? undefined : actions.get(action)?.ttlMs) ?? queueTtlMs
}

export function seconds(ms: number): number {
  return Math.trunc(ms / 1_000)
}
