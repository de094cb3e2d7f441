import type { ConfigurationFiles } from '../config/configuration-files.ts'
import type { LoadedConfiguration } from '../config/load.ts'
import { keepUntilNextStart } from '../config/next-start.ts'
import type { LiveConfiguration, PreparedReload, Reload } from '../config/live-configuration.ts'

/** How a reload of the parent ended. */
export interface Outcome {
  readonly fault?: string
  /** Of `sluicectl reload`. */
  readonly request?: string
}

/** The files as the parent has them in force, and as it started with them: what needs a start is as it was then. */
export interface ParentTexts {
  readonly kind: 'texts'
  readonly inForce: readonly (readonly [path: string, text: string])[]
  readonly atStart: readonly (readonly [path: string, text: string])[]
}

/** What a parent tells the processes that share its ports, the texts when it asks, and for each reload in this order: prepare, then commit or abandon, then the outcome. */
export type ToWorker = ParentTexts | Instruction

export type Instruction =
  | { readonly kind: 'prepare'; readonly round: number }
  | { readonly kind: 'commit' | 'abandon' }
  | { readonly kind: 'outcome'; readonly outcome: Outcome }

export type ToParent =
  | { readonly kind: 'asks texts' }
  | { readonly kind: 'ready'; readonly listens: readonly string[] }
  | { readonly kind: 'prepared'; readonly round: number; readonly revision: string }
  | { readonly kind: 'refused'; readonly round: number; readonly fault: string }

/** The side of a worker process. It watches no files and heeds no SIGHUP of its own. */
export interface Parent {
  /** The parent's configuration, whatever is on disk: a process that crashed comes back with the rules the others work by. */
  load(files: ConfigurationFiles): Promise<LoadedConfiguration>
  /** From now on it gets ready when the parent does, and takes the configuration when all the others can. */
  follow(parts: {
    readonly live: LiveConfiguration
    readonly onReload: (result: Reload) => void
    readonly onOutcome: (outcome: Outcome) => void
  }): void
}

/** What the parent says while this process still starts is kept until it follows. */
export function listenToParent(): Parent {
  let texts: ((message: ParentTexts) => void) | undefined
  let follower: ((message: Instruction) => Promise<void>) | undefined
  let last: Promise<void> = Promise.resolve()
  const early: Instruction[] = []
  const heed = (message: Instruction): void => {
    if (follower === undefined) return void early.push(message)
    const obey = follower
    last = last.then(() => obey(message))
  }
  process.on('message', (message: ToWorker) => {
    if (message.kind === 'texts') texts?.(message)
    else heed(message)
  })
  return {
    async load(files) {
      const answer = new Promise<ParentTexts>((resolve) => {
        texts = resolve
      })
      process.send?.({ kind: 'asks texts' } satisfies ToParent)
      const { atStart, inForce } = await answer
      const { configuration } = await files.load(new Map(atStart))
      return keepUntilNextStart(await files.load(new Map(inForce)), configuration)
    },
    follow({ live, onReload, onOutcome }) {
      follower = carryOut(live, onReload, onOutcome)
      for (const message of early.splice(0)) heed(message)
    },
  }
}

function carryOut(
  live: LiveConfiguration,
  onReload: (result: Reload) => void,
  onOutcome: (outcome: Outcome) => void,
): (message: Instruction) => Promise<void> {
  let prepared: PreparedReload | undefined

  async function prepare(round: number): Promise<void> {
    await abandon()
    const result = await live.prepare()
    if (result.kind === 'prepared') prepared = result
    const { kind, revision } = result
    const answer: ToParent = kind === 'prepared' ? { kind, round, revision } : { kind, round, fault: result.fault }
    process.send?.(answer)
  }

  async function abandon(): Promise<void> {
    const given = prepared
    prepared = undefined
    await given?.abandon()
  }

  return async (message) => {
    switch (message.kind) {
      case 'prepare':
        return prepare(message.round)
      case 'commit': {
        const result = prepared?.commit()
        prepared = undefined
        if (result !== undefined) onReload(result)
        return
      }
      case 'abandon':
        return abandon()
      case 'outcome':
        return onOutcome(message.outcome)
    }
  }
}
