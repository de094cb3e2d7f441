import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import { putFile } from '../../shared/start/put-file.ts'

/** When each token of the API was last used, by its name; also over restarts. */
export interface TokenUses {
  note(name: string): void
  all(): ReadonlyMap<string, number>
  close(): Promise<void>
}

const saveMs = 30_000

/** Kept in memory and written each 30 s. A crash costs the last ones. */
export async function openTokenUses(
  dataFolder: string,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<TokenUses> {
  const path = join(dataFolder, 'audit', 'token-uses.json')
  const uses = new Map(await readUses(path))
  let isChanged = false
  let writing = Promise.resolve()
  const save = (): void => {
    if (!isChanged) return
    isChanged = false
    writing = writing
      .then(() => putFile(path, `${JSON.stringify(Object.fromEntries(uses))}\n`, 0o600))
      .catch((error: unknown) => log.warn({ err: error }, 'the last uses of tokens are not written'))
  }
  const timer = setInterval(save, saveMs)
  timer.unref()
  return {
    note(name) {
      uses.set(name, clock.now())
      isChanged = true
    },
    all: () => uses,
    async close() {
      clearInterval(timer)
      save()
      await writing
    },
  }
}

async function readUses(path: string): Promise<readonly (readonly [string, number])[]> {
  const text = await readFile(path, 'utf8').catch(() => '{}')
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).filter((one): one is [string, number] => typeof one[1] === 'number')
  } catch {
    return []
  }
}
