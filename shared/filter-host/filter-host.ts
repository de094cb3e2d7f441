import type { Filter, FilterProcess } from '../config/model.ts'
import type { Logger } from '../log.ts'
import { FilterSupervisor } from './filter-supervisor.ts'
import { defaultFilterSettings } from './settings.ts'
import type { FilterSettings } from './settings.ts'

export interface FilterHostOptions {
  /** Of all listeners; a process that several share runs once. */
  readonly filters: readonly Filter[]
  readonly admd: string
  readonly log: Logger
  readonly now: () => number
  /** What differs from the defaults, by name of the process. */
  readonly settings?: (name: string) => Partial<FilterSettings>
}

export interface FilterHost {
  readonly processes: ReadonlyMap<FilterProcess, FilterSupervisor>
  close(): Promise<void>
}

/** Starts the filter processes and waits until each is ready or has failed once. */
export async function openFilterHost(options: FilterHostOptions): Promise<FilterHost> {
  const { filters, admd, log, now, settings } = options
  const processes = new Map<FilterProcess, FilterSupervisor>()
  for (const filter of filters) {
    if (filter.kind !== 'process' || processes.has(filter.process)) continue
    const { name, command, ...runAs } = filter.process
    const own = { ...defaultFilterSettings, ...settings?.(name) }
    processes.set(filter.process, new FilterSupervisor({ name, command, runAs, settings: own, admd, log, now }))
  }
  await Promise.all([...processes.values()].map((supervisor) => supervisor.start()))
  return {
    processes,
    async close() {
      await Promise.all([...processes.values()].map((supervisor) => supervisor.close()))
    },
  }
}
