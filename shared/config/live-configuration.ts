import { ConfigurationError } from './diagnostic.ts'
import type { Diagnostic } from './diagnostic.ts'
import { keepUntilNextStart } from './next-start.ts'
import type { LoadedConfiguration, LoadOptions } from './load.ts'
import type { Configuration } from './model.ts'

/**
 * The configuration in force, and the one way to another. It is replaced as a whole, in one step, by one without errors that every
 * follower got ready for; else nothing changes.
 */
export interface LiveConfiguration {
  /** Read it at the moment of use, and keep one snapshot for one message or one session. */
  readonly current: Configuration
  /** Of the files it was read from, by path. */
  readonly texts: ReadonlyMap<string, string>
  /** Which files those are, and what else it was made of; absent when nobody knows. */
  readonly origin: LoadOptions | undefined
  /** Why the files as they are now are not in force; absent when they are. */
  readonly fault: string | undefined
  /** Asks to be told before and when another takes its place; the result ends it. */
  follow(follower: ConfigurationFollower): () => void
  /** Reads the files again. Never rejects; one at a time, in the order of the calls. */
  reload(): Promise<Reload>
  /** The first half of a reload, for a process that another one leads: the second has to follow before the next begins. */
  prepare(): Promise<PreparedReload | RefusedReload>
}

/** Everything is ready, and nothing has changed yet. */
export interface PreparedReload {
  readonly kind: 'prepared'
  /** Of the configuration to come. */
  readonly revision: string
  commit(): Reload
  abandon(): Promise<void>
}

/** Something that was opened by the configuration and goes along with it. */
export interface ConfigurationFollower {
  /** Opens aside what `next` needs. What it throws refuses the reload as a whole: its message is shown to the operator. */
  prepare(next: Configuration): Promise<PreparedChange>
}

export interface PreparedChange {
  /** Puts it into force, in the same turn for all followers. Must not throw. */
  commit(): void
  /** It is not to be: closes what was opened aside. */
  abandon?(): Promise<void>
}

export type Reload =
  | {
      readonly kind: 'replaced'
      readonly revision: string
      readonly previous: string
      /** Those of the files, and what takes effect at the next start. */
      readonly warnings: readonly Diagnostic[]
    }
  | { readonly kind: 'unchanged'; readonly revision: string }
  | RefusedReload

/** `revision` stays in force; `fault` holds the rendered diagnostics. */
export interface RefusedReload {
  readonly kind: 'refused'
  readonly revision: string
  readonly fault: string
}

export function createLiveConfiguration(
  first: LoadedConfiguration,
  load: () => Promise<LoadedConfiguration>,
  origin?: LoadOptions,
): LiveConfiguration {
  const followers = new Set<ConfigurationFollower>()
  let { configuration: current, texts } = first
  let fault: string | undefined
  let last: Promise<unknown> = Promise.resolve()

  async function prepare(): Promise<PreparedReload | RefusedReload> {
    try {
      const next = keepUntilNextStart(await load(), current)
      const changes = await prepareAll([...followers], next.configuration)
      return {
        kind: 'prepared',
        revision: next.configuration.revision,
        commit: () => commit(next, changes),
        abandon: () => abandonAll(changes),
      }
    } catch (error) {
      fault = faultOf(error)
      return { kind: 'refused', revision: current.revision, fault }
    }
  }

  function commit(next: LoadedConfiguration, changes: readonly PreparedChange[]): Reload {
    const { revision: previous } = current
    const { revision } = next.configuration
    current = next.configuration
    texts = next.texts
    fault = undefined
    for (const change of changes) change.commit()
    return revision === previous
      ? { kind: 'unchanged', revision }
      : { kind: 'replaced', revision, previous, warnings: next.warnings }
  }

  async function reload(): Promise<Reload> {
    const prepared = await prepare()
    return prepared.kind === 'prepared' ? prepared.commit() : prepared
  }

  return {
    get current() {
      return current
    },
    get texts() {
      return texts
    },
    origin,
    get fault() {
      return fault
    },
    follow(follower) {
      followers.add(follower)
      return () => void followers.delete(follower)
    },
    reload() {
      const result = last.then(reload)
      last = result
      return result
    },
    prepare,
  }
}

/** One that stays as it is: for command-line tools and tests. */
export function fixedConfiguration(configuration: Configuration): LiveConfiguration {
  const { revision } = configuration
  const unchanged: Reload = { kind: 'unchanged', revision }
  return {
    current: configuration,
    texts: new Map(),
    origin: undefined,
    fault: undefined,
    follow: () => () => undefined,
    reload: () => Promise.resolve(unchanged),
    prepare: () => Promise.resolve({ kind: 'prepared', revision, commit: () => unchanged, abandon: async () => {} }),
  }
}

/** Calls `apply` with each configuration that takes the place of another. */
export function onReload(live: Pick<LiveConfiguration, 'follow'>, apply: (next: Configuration) => void): () => void {
  return live.follow({ prepare: async (next) => ({ commit: () => apply(next) }) })
}

/** @throws what the first follower says that cannot go along, with all the others' preparations abandoned */
async function prepareAll(
  followers: readonly ConfigurationFollower[],
  next: Configuration,
): Promise<readonly PreparedChange[]> {
  const results = await Promise.allSettled(followers.map(async (follower) => follower.prepare(next)))
  const changes = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed === undefined) return changes
  await abandonAll(changes)
  throw failed.reason
}

async function abandonAll(changes: readonly PreparedChange[]): Promise<void> {
  await Promise.allSettled(changes.map(async (change) => change.abandon?.()))
}

/** Only the errors of a configuration: its warnings do not keep it out. */
function faultOf(error: unknown): string {
  if (error instanceof ConfigurationError) {
    const errors = error.diagnostics.filter((one) => one.severity === 'error')
    return new ConfigurationError(errors).message
  }
  return error instanceof Error ? error.message : String(error)
}
