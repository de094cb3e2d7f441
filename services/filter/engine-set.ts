import { isDeepStrictEqual } from 'node:util'

import type { Configuration } from '../../shared/config/model.ts'
import { engineSettingsOf, openEngines } from './open-engines.ts'
import type { EngineSurroundings } from './open-engines.ts'
import type { EngineSettings } from './run-engines.ts'

/** The engines of the configuration in force. */
export interface EngineSet {
  /** Works with the engines of this configuration, which stay open until it is done. */
  use<T>(configuration: Configuration, work: (opened: OpenedEngines) => Promise<T>): Promise<T>
  /** Engines that failed with the last message they were asked about, and what they say themselves, one sentence each. */
  troubles(): readonly string[]
  close(): Promise<void>
}

export interface OpenedEngines {
  readonly engines: readonly EngineSettings[]
  /** By name; kept up to date by who runs them. */
  readonly troubles: Map<string, string>
}

interface Opened extends OpenedEngines {
  configuration: Configuration
  users: number
}

/**
 * A configuration that differs from the last one in what engines are opened by gets engines of its own; those before end with the last
 * message they judge. Else they go on, with their threads, connections and models.
 */
export function createEngineSet(configuration: Configuration, around: EngineSurroundings): EngineSet {
  let current = open(configuration)

  function open(configuration: Configuration): Opened {
    return { configuration, engines: openEngines(configuration, around), troubles: new Map(), users: 0 }
  }

  async function retire(opened: Opened): Promise<void> {
    if (opened !== current && opened.users === 0) await closeAll(opened)
  }

  async function follow(configuration: Configuration): Promise<void> {
    const before = current
    if (isDeepStrictEqual(engineSettingsOf(configuration), engineSettingsOf(before.configuration))) {
      before.configuration = configuration
      return
    }
    current = open(configuration)
    await retire(before)
  }

  return {
    async use(configuration, work) {
      if (configuration !== current.configuration) await follow(configuration)
      const opened = current
      opened.users += 1
      try {
        return await work(opened)
      } finally {
        opened.users -= 1
        await retire(opened)
      }
    },
    troubles() {
      const own = current.engines.flatMap(({ engine }) => engine.trouble?.() ?? [])
      return [...own, ...[...current.troubles].map(([name, reason]) => `engine ${name}: ${reason}`)]
    },
    close: () => closeAll(current),
  }
}

async function closeAll({ engines }: Opened): Promise<void> {
  await Promise.all(engines.map(({ engine }) => engine.close()))
}
