import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import type { Configuration, WebhookSetting } from '../config/model.ts'
import { OperationError } from '../operate/operation-error.ts'
import { formatDuration } from '../report/units.ts'
import type { Resolver } from '../resolver.ts'
import { workerFile } from '../workers/start-worker.ts'
import { createWorkerPool } from '../workers/worker-pool.ts'
import type { EventsResult, EventsTask } from './events-thread.ts'
import { postTest } from './post-events.ts'
import { readState, webhookName, webhooksFolder } from './webhook-state.ts'
import type { WebhookFailure } from './webhook-state.ts'

/** How a webhook does. Its URL is not told whole: it may hold a key. */
export interface WebhookView {
  /** In log and health. */
  readonly name: string
  /** `https://hooks.example.org` */
  readonly host: string
  readonly events: readonly string[]
  /** `not begun`: the ledger has not looked at it yet. */
  readonly state: 'works' | 'fails' | 'not begun'
  readonly sent: number
  readonly dropped: number
  /** Epoch ms of the last request that was taken. */
  readonly sentAt?: number
  /** At most 10,000 are counted. */
  readonly waiting?: number
  readonly failure?: WebhookFailure
}

/** What operators see and try of webhooks; the sending is the ledger's. */
export interface WebhookDesk {
  /** As it was at most five seconds ago. */
  list(): Promise<readonly WebhookView[]>
  /** Posts one signed event `test`, now. @returns what came of it. @throws OperationError when it was not taken */
  test(name: string): Promise<string>
  close(): Promise<void>
}

export interface WebhookDeskParts {
  /** The one in force: read at each use. */
  readonly configuration: Pick<Configuration, 'pipeline' | 'hostname'>
  readonly resolver: Pick<Resolver, 'a' | 'aaaa'>
  readonly clock: Clock
  readonly dataFolder: string
}

const keptMs = 5_000
const countMs = 30_000

export function openWebhookDesk(parts: WebhookDeskParts): WebhookDesk {
  const { resolver, clock, dataFolder } = parts
  const file = workerFile('./events-thread.ts', import.meta.url)
  // None is started before somebody looks.
  const threads = createWorkerPool<EventsTask, EventsResult>({ file, threads: 1, wallMs: countMs })
  const stop = new AbortController()
  let kept: { readonly at: number; readonly views: Promise<readonly WebhookView[]> } | undefined

  async function view(setting: WebhookSetting): Promise<WebhookView> {
    const { url, events } = setting
    const name = webhookName(url)
    const about = { name, host: new URL(url).origin, events }
    const state = await readState(webhooksFolder(dataFolder), name)
    if (state === undefined) return { ...about, state: 'not begun', sent: 0, dropped: 0 }
    const { positions, ...told } = state
    const question = { folder: join(dataFolder, 'events'), positions, events }
    const waiting = await threads.run({ kind: 'waiting', question }).catch(() => undefined)
    return {
      ...about,
      ...told,
      state: state.failure === undefined ? 'works' : 'fails',
      ...(typeof waiting === 'number' ? { waiting } : {}),
    }
  }

  return {
    list() {
      const at = clock.now()
      if (kept === undefined || at - kept.at > keptMs)
        kept = { at, views: Promise.all(parts.configuration.pipeline.webhooks.map(view)) }
      return kept.views
    },
    async test(name) {
      const { hostname, pipeline } = parts.configuration
      const setting = pipeline.webhooks.find(({ url }) => webhookName(url) === name)
      if (setting === undefined) throw new OperationError(`there is no webhook ${name}`)
      const startedAt = clock.now()
      try {
        const { tlsCa } = pipeline
        await postTest(setting, hostname, { resolver, signal: stop.signal, tlsCa, nowAt: startedAt })
      } catch (error) {
        throw new OperationError(`it was not taken: ${(error as Error).message}`)
      }
      return `taken in ${formatDuration(clock.now() - startedAt)}`
    },
    async close() {
      stop.abort()
      await threads.close()
    },
  }
}
