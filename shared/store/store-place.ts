import type { SocketPlace } from '../config/model.ts'

/** Which database holds the store, with all that is needed to open it. */
export type StorePlace = { readonly kind: 'sqlite' } | PostgresPlace

export interface PostgresPlace {
  readonly kind: 'postgresql'
  readonly place: SocketPlace
  readonly user: string
  readonly password?: string
  readonly database: string
  /** Absent: plain text. `ca` in PEM; absent: the well-known authorities. */
  readonly tls?: { readonly ca?: string }
  /** What this host is called in the store. */
  readonly hostName: string
}

export const sqlitePlace: StorePlace = { kind: 'sqlite' }
