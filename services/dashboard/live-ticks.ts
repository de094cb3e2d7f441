import type { ServerResponse } from 'node:http'

/** Server-sent events: one `tick` every `everyMs` to all pages that are open; nothing runs when none is. */
export interface LiveTicks {
  /** Takes over the response until the client goes or `close`. `false`: too many are open. */
  add(response: ServerResponse): boolean
  close(): void
}

const mostClients = 64

export function createLiveTicks(everyMs: number): LiveTicks {
  const clients = new Set<ServerResponse>()
  let timer: NodeJS.Timeout | undefined

  function tick(): void {
    for (const client of clients) {
      // So many ticks lie there that nobody reads them.
      if (client.writableNeedDrain) client.destroy()
      else client.write('event: tick\ndata: \n\n')
    }
  }

  function remove(client: ServerResponse): void {
    clients.delete(client)
    if (clients.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  return {
    add(response) {
      if (clients.size >= mostClients) return false
      clients.add(response)
      response.once('close', () => remove(response))
      response.write(`retry: ${everyMs}\n\n`)
      timer ??= setInterval(tick, everyMs).unref()
      return true
    },
    close() {
      clearInterval(timer)
      for (const client of clients) client.end()
      clients.clear()
    },
  }
}
