import type { Configuration } from '../../shared/config/model.ts'
import { findOpenDoors } from '../../shared/restrictions/open-doors.ts'
import type { OpenDoor } from '../../shared/restrictions/open-doors.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { StartError } from '../../shared/start/start-error.ts'
import { localAddresses } from '../../shared/system.ts'

/**
 * Asks the rules what strangers could do here, at the start and before each reload: an open relay that nobody has called meant (`strangers may relay`) does not
 * start, and a reload that would make one is refused. What else is odd goes to the log. The result ends it.
 * @throws StartError, exit code 78, with the rule that lets strangers out
 */
export async function guardDoors({
  configuration,
  live,
  tables,
  log,
  clock,
}: Pick<ServiceContext, 'configuration' | 'live' | 'tables' | 'log' | 'clock'>): Promise<() => void> {
  async function look(next: Configuration): Promise<readonly OpenDoor[]> {
    const test = { configuration: next, tables, localAddresses: localAddresses(), nowAt: clock.now() }
    const found = await findOpenDoors(test).catch((error: unknown) => {
      log.error({ err: error }, 'what strangers could do here is not known')
      return []
    })
    const refused = found.filter(({ severity }) => severity === 'error')
    if (refused.length > 0) throw new StartError(refused.map((door) => textOf(door)).join('\n'), { exitCode: 78 })
    return found
  }
  const tell = (doors: readonly OpenDoor[]): void => {
    for (const { at, message, hint } of doors) log.error({ rule: `${at.file}:${at.line}`, hint }, message)
  }
  tell(await look(configuration))
  return live.follow({
    prepare: async (next) => {
      const doors = await look(next)
      return { commit: () => tell(doors) }
    },
  })
}

function textOf({ at, code, message, hint }: OpenDoor): string {
  return `${at.file}:${at.line}:${at.column}: ${message} [${code}]\n  = hint: ${hint}`
}
