import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Request {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Takes what is posted and answers as told. */
export interface Receiver {
  readonly url: string
  readonly requests: readonly Request[]
  /** Status code of the answers from now on; `undefined`: none at all. */
  answer: number | undefined
  /** Resolves when there are so many requests. */
  waitForRequests(count: number): Promise<readonly Request[]>
  stop(): Promise<void>
}

export async function startReceiver(port = 0): Promise<Receiver> {
  const requests: Request[] = []
  const changes = new EventEmitter()
  const receiver = { answer: 200 as number | undefined }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      requests.push({ url: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() })
      if (receiver.answer !== undefined) response.writeHead(receiver.answer, { location: '/moved' }).end('seen')
      changes.emit('request')
    })
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    requests,
    async waitForRequests(count: number) {
      while (requests.length < count) await once(changes, 'request')
      return requests
    },
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  })
}
