import type { Configuration } from '../config/model.ts'
import { queueOfRelay } from '../config/return-tags.ts'

/**
 * Whether a job's action is still carried out in its queue. A reload may have taken the action away, made a relay of a delivery, or
 * let its messages go through another queue first.
 */
export function isCarriedOutIn(queue: string, action: string, configuration: Configuration): boolean {
  const found = configuration.actions.get(action)
  if (found === undefined) return false
  if (found.kind === 'local') return queue === 'deliver'
  const [host] = found.host?.source.kind === 'inline' ? (found.host.source.list ?? []) : []
  const through = host === undefined ? undefined : queueOfRelay(configuration.pipeline.queues, host)
  return queue === 'relay' && (through === undefined || through.tag === '')
}
