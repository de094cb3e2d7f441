import type { OpenOfflineFilter } from '../shared/pipeline/offline-filter.ts'
import type { Service } from '../shared/service.ts'

/** The one list of services, in the order they start: what takes work before what brings it. */
export const registry: ReadonlyMap<string, () => Promise<{ readonly default: Service }>> = new Map([
  ['ledger', () => import('./ledger/index.ts')],
  ['delivery', () => import('./delivery/index.ts')],
  ['relay', () => import('./relay/index.ts')],
  ['signer', () => import('./signer/index.ts')],
  ['reports', () => import('./reports/index.ts')],
  ['filter', () => import('./filter/index.ts')],
  ['dashboard', () => import('./dashboard/index.ts')],
  ['inbound', () => import('./inbound/index.ts')],
])

/** What the filter says of mail in files, for who is no service. */
export async function offlineFilter(): Promise<OpenOfflineFilter> {
  return (await import('./filter/offline.ts')).openOfflineFilter
}
