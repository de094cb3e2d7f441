import type { Configuration } from '../config/model.ts'
import type { Arrival, Events } from '../events.ts'
import type { PlannedJob } from './plan.ts'

export interface RouteTeller {
  readonly configuration: Pick<Configuration, 'revision'> & {
    readonly pipeline: Pick<Configuration['pipeline'], 'replay'>
  }
  readonly events: Pick<Events, 'routed'>
}

/** One event for each job; where contents are kept for replays, with what the message is as it comes there. */
export function tellRoutes(
  { configuration, events }: RouteTeller,
  jobs: readonly PlannedJob[],
  acceptedWith: { readonly edits: readonly unknown[] },
): void {
  const { revision } = configuration
  const isKept = configuration.pipeline.replay.keepMs !== undefined
  for (const { data, queue, rule, ruleText } of jobs) {
    const { id, to, rcpt, action, tags } = data
    const arrival = isKept ? arrivalOf(data, acceptedWith.edits.length) : undefined
    events.routed({ id, to, rcpt, rule, ruleText, revision, queue, action, tags, ...(arrival && { arrival }) })
  }
}

function arrivalOf({ edits, path, destination, order }: PlannedJob['data'], atAcceptance: number): Arrival {
  const added = edits.slice(atAcceptance)
  return {
    ...(added.length === 0 ? {} : { edits: added }),
    ...(path.length === 0 ? {} : { path }),
    ...(destination === undefined ? {} : { destination }),
    ...(order === undefined ? {} : { order }),
  }
}
