import type { Clock } from '../../shared/clock.ts'
import type { Source } from './source.ts'
import type { SystemDesk } from './system-desk.ts'
import { warningsOf } from './watch.ts'
import type { Warning } from './watch.ts'

/** What the first page warns of, beside what services say of themselves. */
export interface WatchDesk {
  /** As it was at most twenty seconds ago; what does not answer is left out. */
  warnings(): Promise<readonly Warning[]>
}

export interface WatchDeskParts {
  readonly system: Pick<SystemDesk, 'look'>
  readonly source: Pick<Source, 'destinations'>
  readonly clock: Clock
}

const keptMs = 20_000

/** Looks only while somebody does. */
export function createWatchDesk({ system, source, clock }: WatchDeskParts): WatchDesk {
  let last: { readonly at: number; readonly warnings: Promise<readonly Warning[]> } | undefined

  async function look(): Promise<readonly Warning[]> {
    const [seen, sent] = await Promise.allSettled([system.look(), source.destinations()])
    const destinations =
      sent.status === 'fulfilled' && sent.value.seen.kind === 'seen' ? sent.value.seen.value : undefined
    return warningsOf(
      {
        ...(seen.status === 'fulfilled' ? { system: seen.value } : {}),
        ...(destinations === undefined ? {} : { destinations }),
      },
      clock.now(),
    )
  }

  return {
    warnings() {
      const nowAt = clock.now()
      if (last === undefined || nowAt - last.at >= keptMs) last = { at: nowAt, warnings: look() }
      return last.warnings
    },
  }
}
