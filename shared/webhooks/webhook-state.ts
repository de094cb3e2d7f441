import { createHash } from 'node:crypto'
import { mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { syncDirectory } from '../spool/sync-directory.ts'
import type { Positions } from './read-events.ts'

/** How far a webhook is, kept over restarts. */
export interface WebhookState {
  readonly positions: Positions
  /** Events, since the webhook was first there. */
  readonly sent: number
  readonly dropped: number
  /** Epoch ms. */
  readonly sentAt?: number
  /** Absent: the last attempt went well. */
  readonly failure?: WebhookFailure
}

export interface WebhookFailure {
  /** Attempts in a row. */
  readonly attempts: number
  readonly reason: string
  /** The first of them, epoch ms. */
  readonly since: number
  readonly nextAt: number
}

export function webhooksFolder(dataFolder: string): string {
  return join(dataFolder, 'webhooks')
}

/** Its name in files, logs and health, which do not show the URL: that may hold a key. */
export function webhookName(url: string): string {
  return `${new URL(url).hostname.replaceAll(/[^\w.-]/g, '_')}-${createHash('sha256').update(url).digest('hex').slice(0, 8)}`
}

/** `undefined`: there is none, or it cannot be understood, which is told. */
export async function readState(
  folder: string,
  name: string,
  onDamage: (reason: string) => void = () => undefined,
): Promise<WebhookState | undefined> {
  try {
    const stored = JSON.parse(await readFile(statePath(folder, name), 'utf8')) as StoredState
    const { positions, ...rest } = stored
    return { ...rest, positions: new Map(Object.entries(positions)) }
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) {
      onDamage(error.message)
      return undefined
    }
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Resolves when it is on disk: the old one or the new one is there, whatever happens. */
export async function writeState(folder: string, name: string, state: WebhookState): Promise<void> {
  await mkdir(folder, { recursive: true })
  const path = statePath(folder, name)
  const part = `${path}.part`
  const stored: StoredState = { ...state, positions: Object.fromEntries(state.positions) }
  const handle = await open(part, 'w', 0o600)
  try {
    await handle.writeFile(JSON.stringify(stored))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(part, path)
  await syncDirectory(folder)
}

/** Forgets how far all others were. */
export async function keepStates(folder: string, names: ReadonlySet<string>): Promise<void> {
  const files = await readdir(folder).catch(() => [])
  const others = files.filter((file) => !names.has(file.replace(/\.json(?:\.part)?$/, '')))
  await Promise.all(others.map((file) => rm(join(folder, file), { force: true })))
}

interface StoredState extends Omit<WebhookState, 'positions'> {
  readonly positions: Readonly<Record<string, number>>
}

function statePath(folder: string, name: string): string {
  return join(folder, `${name}.json`)
}
