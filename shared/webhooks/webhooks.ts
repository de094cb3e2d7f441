import type { WebhookSetting } from '../config/model.ts'
import type { ServiceContext } from '../service.ts'
import { workerFile } from '../workers/start-worker.ts'
import { createWorkerPool } from '../workers/worker-pool.ts'
import type { EventsResult, EventsTask } from './events-thread.ts'
import { postEvents } from './post-events.ts'
import type { EventBatch, Positions, Unread } from './read-events.ts'
import { WebhookSender } from './webhook-sender.ts'
import { keepStates, webhookName, webhooksFolder } from './webhook-state.ts'

export type WebhookParts = Pick<
  ServiceContext,
  'configuration' | 'resolver' | 'events' | 'metrics' | 'clock' | 'log' | 'dataFolder'
>

/** All webhooks of the configuration in force. Each goes its own way: a receiver that is slow or gone delays no other, and no mail. */
export interface Webhooks {
  /** Begins and ends what the configuration in force begins and ends. How far a webhook was that is no more is forgotten. */
  follow(): Promise<void>
  /** Does work that may take files of the journal away: what a webhook had not read of them is counted, and told. */
  trimming<T>(work: () => Promise<T>): Promise<T>
  /** One sentence for each that is behind for long. */
  readonly troubles: readonly string[]
  close(): Promise<void>
}

const readMs = 60_000

/** @param eventsFolder of the journal, which is read in a thread: reading blocks */
export function openWebhooks(parts: WebhookParts, eventsFolder: string): Webhooks {
  const { resolver, events, metrics, clock, log, dataFolder } = parts
  const folder = webhooksFolder(dataFolder)
  const file = workerFile('./events-thread.ts', import.meta.url)
  const threads = createWorkerPool<EventsTask, EventsResult>({ file, threads: 1, wallMs: readMs })
  const senders = new Map<string, { readonly setting: WebhookSetting; readonly sender: WebhookSender }>()
  let followed: readonly WebhookSetting[] | undefined

  function start(setting: WebhookSetting): WebhookSender {
    return new WebhookSender({
      setting,
      folder,
      ends: async () => (await threads.run({ kind: 'ends', folder: eventsFolder })) as Positions,
      next: async (question) =>
        (await threads.run({ kind: 'next', question: { ...question, folder: eventsFolder } })) as EventBatch,
      unread: async (question) =>
        (await threads.run({ kind: 'unread', question: { ...question, folder: eventsFolder } })) as ReadonlyMap<
          string,
          Unread
        >,
      post: (batch, signal) => {
        const { tlsCa } = parts.configuration.pipeline
        return postEvents(setting, batch, { resolver, signal, tlsCa, nowAt: clock.now() })
      },
      events,
      metrics,
      clock,
      log,
    })
  }

  return {
    async follow() {
      const { webhooks } = parts.configuration.pipeline
      if (webhooks === followed) return
      const wanted = new Map(webhooks.map((setting) => [webhookName(setting.url), setting]))
      for (const [name, { setting, sender }] of senders) {
        if (JSON.stringify(wanted.get(name)) === JSON.stringify(setting)) continue
        senders.delete(name)
        await sender.close()
      }
      await keepStates(folder, new Set(wanted.keys()))
      for (const [name, setting] of wanted)
        if (!senders.has(name)) senders.set(name, { setting, sender: start(setting) })
      followed = webhooks
    },
    trimming<T>(work: () => Promise<T>): Promise<T> {
      const nested = [...senders.values()].reduce<() => Promise<T>>(
        (inner, { sender }) =>
          () =>
            sender.trimming(inner),
        work,
      )
      return nested()
    },
    get troubles() {
      return [...senders.values()].flatMap(({ sender }) => sender.trouble ?? [])
    },
    async close() {
      await Promise.all([...senders.values()].map(({ sender }) => sender.close()))
      await threads.close()
    },
  }
}
