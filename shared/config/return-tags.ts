import { returnListener, sameServer, serverOf, withoutAnswers } from './externals.ts'
import type { Configuration, Listener, QueueSettings } from './model.ts'
import type { PipelineDraft } from './pipeline-grammar.ts'
import { parseRelayUrl, RelayUrlError, type RelayUrl } from './relay-url.ts'

/**
 * A file written for a content filter has a listener on loopback where the filter hands mail back, one port above the filter's.
 * With a queue in place of the filter nothing connects there: the listener only gives the queue its tag and is not opened.
 * With `external` the filter is a real one, no queue answers at its address, and the listener is opened.
 */
export function withReturnTags(configuration: Configuration, pipeline: PipelineDraft): Configuration {
  const answering = withoutAnswers(configuration.pipeline.queues, configuration.pipeline.externals)
  const used = new Set<Listener>()
  const queues = new Map<string, QueueSettings>()
  for (const [name, queue] of answering) {
    const listener = listenerOf(configuration, answering, queue)
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
    const answered = queue.answers === undefined ? undefined : serverOf(queue.answers)
    if (answered !== undefined && sameServer(answered, url)) return queue
  }
  return undefined
}

function listenerOf(
  configuration: Configuration,
  queues: ReadonlyMap<string, QueueSettings>,
  queue: QueueSettings,
): Listener | undefined {
  if (queue.answers === undefined || !isUsed(configuration, queues, queue)) return undefined
  return returnListener(configuration.listeners, queue.answers)
}

function isUsed(
  configuration: Configuration,
  queues: ReadonlyMap<string, QueueSettings>,
  queue: QueueSettings,
): boolean {
  return [...configuration.actions.values()].some(
    (action) =>
      action.kind === 'relay' &&
      action.host?.source.kind === 'inline' &&
      (action.host.source.list ?? []).some((host) => queueOfRelay(queues, host) === queue),
  )
}

function urlOf(text: string): RelayUrl | undefined {
  try {
    return parseRelayUrl(text)
  } catch (error) {
    if (error instanceof RelayUrlError) return undefined
    throw error
  }
}
