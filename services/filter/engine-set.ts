import type { Configuration } from '../../shared/config/model.ts'
import { openEngines } from './open-engines.ts'
import type { EngineSurroundings } from './open-engines.ts'
import type { EngineSettings } from './run-engines.ts'

/** The engines of the configuration in force. */
export interface EngineSet {
  /** Works with the engines of this configuration, which stay open until it is done. */
  use<T>(configuration: Configuration, work: (opened: OpenedEngines) => Promise<T>): Promise<T>
  /** Engines that failed with the last message they were asked about, one sentence each. */
  troubles(): readonly string[]
  close(): Promise<void>
}

export interface OpenedEngines {
  readonly engines: readonly EngineSettings[]
  /** By name; kept up to date by who runs them. */
  readonly troubles: Map<string, string>
}

interface Opened extends OpenedEngines {
  readonly configuration: Configuration
  users: number
}

/** A configuration that differs from the last one gets engines of its own; those before end with the last message they judge. */
export function createEngineSet(configuration: Configuration, around: EngineSurroundings): EngineSet {
  let current = open(configuration)

  function open(configuration: Configuration): Opened {
    return { configuration, engines: openEngines(configuration, around), troubles: new Map(), users: 0 }
  }

  async function retire(opened: Opened): Promise<void> {
    if (opened !== current && opened.users === 0) await closeAll(opened)
  }

  return {
    async use(configuration, work) {
      if (configuration !== current.configuration) {
        const before = current
        current = open(configuration)
        await retire(before)
      }
      const opened = current
      opened.users += 1
      try {
        return await work(opened)
      } finally {
        opened.users -= 1
        await retire(opened)
      }
    },
    troubles: () => [...current.troubles].map(([name, reason]) => `engine ${name}: ${reason}`),
    close: () => closeAll(current),
  }
}

async function closeAll({ engines }: Opened): Promise<void> {
  await Promise.all(engines.map(({ engine }) => engine.close()))
}
