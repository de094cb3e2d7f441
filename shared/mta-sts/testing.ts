import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface PolicyHost {
  readonly port: number
  /** `Host` and path of each request, in order. */
  readonly asked: readonly string[]
  close(): Promise<void>
}

/** A policy host of a test on 127.0.0.1. @param answer what it says; a string is the policy */
export async function startPolicyHost(
  pem: { readonly cert: string; readonly key: string },
  answer: (request: IncomingMessage, response: ServerResponse) => string | undefined,
): Promise<PolicyHost> {
  const asked: string[] = []
  const server = createServer({ cert: pem.cert, key: pem.key }, (request, response) => {
    asked.push(`${request.headers.host ?? ''} ${request.url ?? ''}`)
    const text = answer(request, response)
    if (text !== undefined) response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export function policyText(mode: string, mx: readonly string[], maxAge = 86_400): string {
  return ['version: STSv1', `mode: ${mode}`, ...mx.map((name) => `mx: ${name}`), `max_age: ${maxAge}`, ''].join('\r\n')
}
