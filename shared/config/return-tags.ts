import type { Configuration, Listener, QueueSettings } from './model.ts'
import type { PipelineDraft } from './pipeline-grammar.ts'
import { parseRelayUrl, RelayUrlError, type RelayUrl } from './relay-url.ts'

const loopback = new Set(['lo', 'lo0', 'localhost', '127.0.0.1', '::1'])

/** Only this host can connect to a listener there. */
export function isLoopback(on: string): boolean {
  return loopback.has(on)
}

/**
 * A file written for a content filter has a listener on loopback where the filter hands mail back, one port above the filter's.
 * With a queue in place of the filter nothing connects there: the listener only gives the queue its tag and is not opened.
 */
export function withReturnTags(configuration: Configuration, pipeline: PipelineDraft): Configuration {
  const used = new Set<Listener>()
  const queues = new Map<string, QueueSettings>()
  for (const [name, queue] of configuration.pipeline.queues) {
    const listener = returnListener(configuration, queue)
    if (listener?.tag === undefined) {
      queues.set(name, queue)
      continue
    }
    used.add(listener)
    queues.set(name, pipeline.stated.has(`queue ${name} tag`) ? queue : { ...queue, tag: listener.tag })
  }
  const listeners = configuration.listeners.filter((listener) => !used.has(listener))
  return { ...configuration, listeners, pipeline: { ...configuration.pipeline, queues } }
}

/** The queue that answers at a relay host: `queue://NAME`, or the address a content filter had. */
export function queueOfRelay(queues: ReadonlyMap<string, QueueSettings>, host: string): QueueSettings | undefined {
  const url = urlOf(host)
  if (url === undefined) return undefined
  if (url.kind === 'queue') return queues.get(url.name)
  for (const queue of queues.values()) {
    const answered = queue.answers === undefined ? undefined : urlOf(queue.answers)
    if (answered !== undefined && answered.kind !== 'queue' && sameServer(answered, url)) return queue
  }
  return undefined
}

function returnListener(configuration: Configuration, queue: QueueSettings): Listener | undefined {
  const url = queue.answers === undefined ? undefined : urlOf(queue.answers)
  if (url === undefined || url.kind === 'queue' || !isUsed(configuration, queue)) return undefined
  return configuration.listeners.find(
    (listener) => loopback.has(listener.on) && listener.tag !== undefined && listener.port === url.port + 1,
  )
}

function isUsed(configuration: Configuration, queue: QueueSettings): boolean {
  return [...configuration.actions.values()].some(
    (action) =>
      action.kind === 'relay' &&
      action.host?.source.kind === 'inline' &&
      (action.host.source.list ?? []).some((host) => queueOfRelay(configuration.pipeline.queues, host) === queue),
  )
}

type Server = Extract<RelayUrl, { readonly host: string }>

function sameServer(one: Server, other: Server): boolean {
  const name = ({ host }: Server): string => (loopback.has(host.toLowerCase()) ? 'localhost' : host.toLowerCase())
  return one.kind === other.kind && name(one) === name(other) && one.port === other.port
}

function urlOf(text: string): RelayUrl | undefined {
  try {
    return parseRelayUrl(text)
  } catch (error) {
    if (error instanceof RelayUrlError) return undefined
    throw error
  }
}
