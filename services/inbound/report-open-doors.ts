import { onReload } from '../../shared/config/live-configuration.ts'
import type { Configuration } from '../../shared/config/model.ts'
import { findOpenDoors } from '../../shared/restrictions/open-doors.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { localAddresses } from '../../shared/system.ts'

/**
 * Tells at the start and after each reload, at level error, what strangers could do here. Mail goes on: whoever wrote such rules may
 * have a firewall in front. Resolves when the first look is over.
 */
export async function reportOpenDoors({
  configuration,
  live,
  tables,
  log,
  clock,
}: Pick<ServiceContext, 'configuration' | 'live' | 'tables' | 'log' | 'clock'>): Promise<() => void> {
  async function report(current: Configuration): Promise<void> {
    try {
      const test = { configuration: current, tables, localAddresses: localAddresses(), nowAt: clock.now() }
      for (const { at, message, hint } of await findOpenDoors(test))
        log.error({ rule: `${at.file}:${at.line}`, hint }, message)
    } catch (error) {
      log.error({ err: error }, 'what strangers could do here is not known')
    }
  }
  const unfollow = onReload(live, (next) => void report(next))
  await report(configuration)
  return unfollow
}
