import type { ConfigurationFiles } from '../config/configuration-files.ts'
import { renderDiagnostic } from '../config/diagnostic.ts'
import type { LiveConfiguration, Reload } from '../config/live-configuration.ts'
import type { ConfigurationState } from '../heartbeat.ts'
import type { ServiceContext } from '../service.ts'
import type { Outcome, Parent } from './led-reload.ts'
import { watchForReload } from './reload-triggers.ts'

/** Keeps the configuration of a process as it is on disk, and says how that went. */
export interface Upkeep {
  /** For the heartbeats. */
  readonly state: ConfigurationState
  /** Begins; `beat` is called when the state has changed, `tell` when a reload ended. */
  start(parts: { readonly beat: () => void; readonly tell: (outcome: Outcome) => void }): Running
}

export interface Running {
  /** SIGHUP. A worker process leaves it to its parent. */
  now(): void
  close(): Promise<void>
}

export function keepCurrent(parts: {
  readonly live: LiveConfiguration
  readonly files: ConfigurationFiles
  /** Of a worker process, which it follows. */
  readonly parent: Parent | undefined
  readonly context: Pick<ServiceContext, 'events' | 'log' | 'dataFolder'>
}): Upkeep {
  const { live, files, parent, context } = parts
  const { events, log, dataFolder } = context
  let outcome: Outcome = {}
  let warnings: readonly string[] = []
  let waiting: readonly string[] = []

  function note(result: Reload): void {
    if (result.kind !== 'replaced') return
    warnings = result.warnings.map((one) => renderDiagnostic(one))
    waiting = result.warnings.filter(({ code }) => code === 'next-start').map((one) => renderDiagnostic(one))
    events.reloaded({ revision: result.revision, previous: result.previous, warnings })
  }

  return {
    get state() {
      return {
        revision: live.current.revision,
        ...outcome,
        ...(warnings.length === 0 ? {} : { warnings }),
        ...(waiting.length === 0 ? {} : { waiting }),
      }
    },
    start({ beat, tell }) {
      if (parent !== undefined) {
        parent.follow({
          live,
          onReload: note,
          onOutcome(told) {
            outcome = told
            beat()
          },
        })
        return { now: () => undefined, close: async () => {} }
      }
      return watchForReload({
        live,
        files,
        dataFolder,
        log,
        onDone(result, request, isNews) {
          note(result)
          if (result.kind === 'refused' && isNews) events.reloadRefused(result)
          const { request: before } = outcome
          const answered = request ?? before
          outcome = {
            ...(result.kind === 'refused' ? { fault: result.fault } : {}),
            ...(answered === undefined ? {} : { request: answered }),
          }
          tell(outcome)
          beat()
        },
      })
    },
  }
}
