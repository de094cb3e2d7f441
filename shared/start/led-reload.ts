import type { LiveConfiguration, PreparedReload, Reload } from '../config/live-configuration.ts'

/** How a reload of the parent ended. */
export interface Outcome {
  readonly fault?: string
  /** Of `sluicectl reload`. */
  readonly request?: string
}

/** What a parent tells the processes that share its ports, in this order: prepare, then commit or abandon, then the outcome. */
export type ToWorker =
  | { readonly kind: 'prepare'; readonly round: number }
  | { readonly kind: 'commit' | 'abandon' }
  | { readonly kind: 'outcome'; readonly outcome: Outcome }

export type ToParent =
  | { readonly kind: 'ready'; readonly listens: readonly string[] }
  | { readonly kind: 'prepared'; readonly round: number; readonly revision: string }
  | { readonly kind: 'refused'; readonly round: number; readonly fault: string }

/**
 * A worker process reads the configuration when its parent does and takes it when all the others can: it watches no files and heeds no
 * SIGHUP of its own.
 */
export function followParent(parts: {
  readonly live: LiveConfiguration
  readonly onReload: (result: Reload) => void
  readonly onOutcome: (outcome: Outcome) => void
}): void {
  const { live, onReload, onOutcome } = parts
  let prepared: PreparedReload | undefined

  async function prepare(round: number): Promise<void> {
    await prepared?.abandon()
    prepared = undefined
    const result = await live.prepare()
    if (result.kind === 'prepared') prepared = result
    const { kind, revision } = result
    const answer: ToParent = kind === 'prepared' ? { kind, round, revision } : { kind, round, fault: result.fault }
    process.send?.(answer)
  }

  let last: Promise<void> = Promise.resolve()
  const heed = async (message: ToWorker): Promise<void> => {
    switch (message.kind) {
      case 'prepare':
        return prepare(message.round)
      case 'commit': {
        const result = prepared?.commit()
        prepared = undefined
        if (result !== undefined) onReload(result)
        return
      }
      case 'abandon': {
        const given = prepared
        prepared = undefined
        return given?.abandon()
      }
      case 'outcome':
        return onOutcome(message.outcome)
    }
  }
  process.on('message', (message: ToWorker) => {
    last = last.then(() => heed(message))
  })
}
