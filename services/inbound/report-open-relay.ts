import { onReload } from '../../shared/config/live-configuration.ts'
import type { Configuration } from '../../shared/config/model.ts'
import { describeOpenRelay, findOpenRelays, openRelayHint } from '../../shared/restrictions/open-relay.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { localAddresses } from '../../shared/system.ts'

/**
 * Tells at the start and after each reload, at level error, where strangers could relay. Mail goes on: whoever wrote such rules may
 * have a firewall in front. Resolves when the first look is over.
 */
export async function reportOpenRelay({
  configuration,
  live,
  tables,
  log,
  clock,
}: Pick<ServiceContext, 'configuration' | 'live' | 'tables' | 'log' | 'clock'>): Promise<() => void> {
  async function report(current: Configuration): Promise<void> {
    try {
      const test = { configuration: current, tables, localAddresses: localAddresses(), nowAt: clock.now() }
      for (const relay of await findOpenRelays(test)) {
        const { file, line } = relay.at
        log.error({ rule: `${file}:${line}`, hint: openRelayHint }, describeOpenRelay(relay))
      }
    } catch (error) {
      log.error({ err: error }, 'whether strangers could relay is not known')
    }
  }
  const unfollow = onReload(live, (next) => void report(next))
  await report(configuration)
  return unfollow
}
