import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'

import type { AcmeSettings } from '../../../shared/config/model.ts'

/** Where proofs are shown while an order runs. */
export interface Challenges {
  /** Of RFC 8555 section 8. */
  readonly type: 'http-01' | 'dns-01'
  show(domain: string, token: string, authorization: string): Promise<void>
  remove(domain: string, token: string, authorization: string): Promise<void>
  close(): Promise<void>
}

export function openChallenges({ challenge }: AcmeSettings): Promise<Challenges> {
  return challenge.kind === 'http' ? openHttp(challenge.host, challenge.port) : Promise.resolve(dnsHook(challenge.hook))
}

const path = '/.well-known/acme-challenge/'

/** Listens only as long as an order runs. @throws when the port cannot be opened */
async function openHttp(host: string, port: number): Promise<Challenges> {
  const shown = new Map<string, string>()
  const server = createServer((request, response) => {
    const url = request.url ?? ''
    const found = url.startsWith(path) ? shown.get(url.slice(path.length)) : undefined
    response.writeHead(found === undefined ? 404 : 200, {
      'content-type': 'application/octet-stream',
      connection: 'close',
    })
    response.end(found)
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    type: 'http-01',
    async show(_domain, token, authorization) {
      shown.set(token, authorization)
    },
    async remove(_domain, token) {
      shown.delete(token)
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

const hookMs = 300_000

/** The program is told `present` or `cleanup`, the name of the record, and its text; it returns when the record is there. */
function dnsHook(program: string): Challenges {
  const call = async (word: 'present' | 'cleanup', domain: string, text: string): Promise<void> => {
    const child = spawn(program, [word, `_acme-challenge.${domain}`, text], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: hookMs,
      killSignal: 'SIGKILL',
    })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-1_000)))
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0)
      throw new Error(`${program} ${word}: ${code === null ? 'it was killed' : `exit code ${code}`}: ${said.trim()}`)
  }
  return {
    type: 'dns-01',
    show: (domain, _token, authorization) => call('present', domain, authorization),
    remove: (domain, _token, authorization) => call('cleanup', domain, authorization),
    close: () => Promise.resolve(),
  }
}
