import type { Configuration, ExternalFilter, Listener, QueueSettings } from './model.ts'
import { parseRelayUrl, RelayUrlError, type RelayUrl } from './relay-url.ts'
import { isLoopback } from './loopback.ts'

type Server = Extract<RelayUrl, { readonly host: string }>

/** The content filter that `external` of pipeline.conf names for this relay host. */
export function externalOf(externals: readonly ExternalFilter[], host: string): ExternalFilter | undefined {
  if (externals.length === 0) return undefined
  const url = serverOf(host)
  if (url === undefined) return undefined
  return externals.find((one) => {
    const stated = serverOf(one.url)
    return stated !== undefined && sameServer(stated, url)
  })
}

/** An external filter takes the place of the queue that answers at its address. */
export function withoutAnswers(
  queues: ReadonlyMap<string, QueueSettings>,
  externals: readonly ExternalFilter[],
): ReadonlyMap<string, QueueSettings> {
  const left = [...queues].map(([name, queue]): [string, QueueSettings] => {
    const { answers, ...rest } = queue
    return [name, answers === undefined || externalOf(externals, answers) === undefined ? queue : rest]
  })
  return new Map(left)
}

/** The listener on loopback, with a tag, one port above a content filter: there it hands mail back. */
export function returnListener(listeners: Configuration['listeners'], url: string): Listener | undefined {
  const server = serverOf(url)
  if (server === undefined) return undefined
  return listeners.find(({ on, tag, port }) => isLoopback(on) && tag !== undefined && port === server.port + 1)
}

/** The same protocol, host and port; all names of loopback are one. */
export function sameServer(one: Server, other: Server): boolean {
  const name = ({ host }: Server): string => (isLoopback(host.toLowerCase()) ? 'localhost' : host.toLowerCase())
  return one.kind === other.kind && name(one) === name(other) && one.port === other.port
}

/** Undefined for a queue, and for what is no relay URL. */
export function serverOf(text: string): Server | undefined {
  try {
    const url = parseRelayUrl(text)
    return url.kind === 'queue' ? undefined : url
  } catch (error) {
    if (error instanceof RelayUrlError) return undefined
    throw error
  }
}
