import type { Filter, FilterProcess } from '../config/model.ts'
import type { FilterRunOptions } from './filter-run.ts'
import { FilterSupervisor } from './filter-supervisor.ts'
import { defaultFilterSettings } from './settings.ts'
import type { FilterSettings } from './settings.ts'

/** What one configuration asks of the filter processes. */
export interface FilterLeaseOptions {
  /** Of all listeners; a process that several share runs once. */
  readonly filters: readonly Filter[]
  readonly admd: string
  /** What differs from the defaults, by name of the process. */
  readonly settings?: (name: string) => Partial<FilterSettings>
}

/** The processes of one configuration. */
export interface FilterLease {
  readonly processes: ReadonlyMap<FilterProcess, FilterSupervisor>
  /** Ends those that no other lease has. */
  release(): Promise<void>
}

export interface FilterHost {
  /** Starts what does not run yet and waits until each is ready or has failed once. A process that is set up as before goes on. */
  lease(options: FilterLeaseOptions): Promise<FilterLease>
}

interface Leased {
  readonly supervisor: FilterSupervisor
  leases: number
}

export function createFilterHost(parts: Pick<FilterRunOptions, 'log' | 'now' | 'tally'>): FilterHost {
  const running = new Map<string, Leased>()

  async function release(key: string): Promise<void> {
    const leased = running.get(key)
    if (leased === undefined) return
    leased.leases -= 1
    if (leased.leases > 0) return
    running.delete(key)
    await leased.supervisor.close()
  }

  return {
    async lease({ filters, admd, settings }) {
      const processes = new Map<FilterProcess, FilterSupervisor>()
      const keys: string[] = []
      const starting: Promise<void>[] = []
      for (const filter of filters) {
        if (filter.kind !== 'process' || processes.has(filter.process)) continue
        const { at: _at, name, command, ...runAs } = filter.process
        const own = { ...defaultFilterSettings, ...settings?.(name) }
        const key = JSON.stringify([name, command, runAs, own, admd])
        const known = running.get(key)
        const supervisor =
          known?.supervisor ?? new FilterSupervisor({ ...parts, name, command, runAs, settings: own, admd })
        if (known === undefined) {
          running.set(key, { supervisor, leases: 1 })
          starting.push(supervisor.start())
        } else known.leases += 1
        keys.push(key)
        processes.set(filter.process, supervisor)
      }
      await Promise.all(starting)
      return {
        processes,
        async release() {
          await Promise.all(keys.splice(0).map((key) => release(key)))
        },
      }
    },
  }
}
