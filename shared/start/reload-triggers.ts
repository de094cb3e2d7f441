import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import type { ConfigurationFiles } from '../config/configuration-files.ts'
import type { LiveConfiguration, Reload } from '../config/live-configuration.ts'
import type { Logger } from '../log.ts'
import { requestPath } from './reload-request.ts'

export interface TriggerParts {
  readonly live: LiveConfiguration
  readonly files: Pick<ConfigurationFiles, 'difference'>
  readonly dataFolder: string
  readonly log: Logger
  /**
   * After every reload but those that found nothing new by themselves. `request` is that of `sluicectl reload`; `isNews` is false for a
   * fault that was told before.
   */
  readonly onDone: (result: Reload, request: string | undefined, isNews: boolean) => void
  readonly lookMs?: number
}

export interface Triggers {
  /** SIGHUP. */
  now(): void
  close(): Promise<void>
}

const everySecond = 1_000
/** A refused configuration is tried again this often though its files stay: a certificate may be there now, a port free. */
const looksBetweenTries = 10

/**
 * Reloads when the files are different and have stayed so for two looks (an editor may still be writing), when `sluicectl reload`
 * asks for it, and at `now`. Looks at the files instead of waiting for the system's notices: those do not come through bind mounts
 * and network file systems, nor for a link that leads elsewhere.
 */
export function watchForReload(parts: TriggerParts): Triggers {
  const { live, files, log, onDone, lookMs = everySecond } = parts
  const stop = new AbortController()
  const running = new Set<Promise<void>>()
  let told = ''
  let seen = ''
  let looks = 0
  let answered: string | undefined

  async function reload(asked: boolean, request?: string): Promise<void> {
    const result = await live.reload()
    const isMended = told !== '' && result.kind !== 'refused'
    if (result.kind === 'unchanged' && (asked || isMended))
      log.info({ revision: result.revision }, 'configuration is in force as it is on disk')
    const isNews = asked || result.kind !== 'refused' || result.fault !== told
    told = result.kind === 'refused' ? result.fault : ''
    if (asked || isMended || result.kind !== 'unchanged') onDone(result, request, isNews)
  }

  async function look(): Promise<void> {
    const request = await readFile(requestPath(parts.dataFolder), 'utf8').catch(() => '')
    if (request !== answered) {
      const first = answered === undefined
      answered = request
      if (!first) return reload(true, request)
    }
    const different = await files.difference()
    const stays = different !== '' && different === seen
    seen = different
    looks += 1
    if (stays || (live.fault !== undefined && looks % looksBetweenTries === 0)) await reload(false)
  }

  async function run(work: Promise<void>): Promise<void> {
    const guarded = work.catch((error: unknown) => log.error({ err: error }, 'reload failed'))
    running.add(guarded)
    await guarded
    running.delete(guarded)
  }

  async function lookAgainAndAgain(): Promise<void> {
    while (!stop.signal.aborted) {
      await run(look())
      await sleep(lookMs, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  }

  const looking = lookAgainAndAgain()
  return {
    now: () => void run(reload(true)),
    async close() {
      stop.abort()
      await Promise.all([looking, ...running])
    },
  }
}

/** False when the process was started at a terminal that is gone: its SIGHUP then means the end, not a reload. */
export function hasTerminalOrNeedsNone(startedAtTerminal: boolean): boolean {
  if (!startedAtTerminal) return true
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}
