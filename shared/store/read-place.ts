import { readFile } from 'node:fs/promises'

import type { Configuration } from '../config/model.ts'
import { sqlitePlace } from './store-place.ts'
import type { StorePlace } from './store-place.ts'

/** Where the configuration has the store, with the secrets that its files hold. @throws when one cannot be read */
export async function readStorePlace({ pipeline, hostname }: Configuration): Promise<StorePlace> {
  const { store } = pipeline.events
  if (store.kind === 'sqlite') return sqlitePlace
  const { kind, place, user, database, passwordFile, tls } = store
  const password = await readSecret(passwordFile)
  const ca = tls?.caFile === undefined ? undefined : await readFile(tls.caFile, 'utf8')
  return {
    kind,
    place,
    user,
    database,
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: ca === undefined ? {} : { ca } }),
    hostName: hostname,
  }
}

async function readSecret(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : (await readFile(file, 'utf8')).trim()
}
