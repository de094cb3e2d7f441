import type { ExternalTable } from '../config/external-table.ts'
import type { SocketPlace } from '../config/model.ts'
import type { ExchangeProtocol } from './exchange-connection.ts'
import { ExchangePool } from './exchange-pool.ts'
import { keyTable } from './key-table.ts'

export interface ServerTableOptions {
  readonly place: SocketPlace
  readonly timeoutMs: number
}

/** Postfix's tcp_table(5): `get KEY`; `200 VALUE`, `500 TEXT` not found, `400 TEXT` not now. */
export function openTcpTable(options: ServerTableOptions): ExternalTable {
  const pool = new ExchangePool({ ...options, protocol: lines })
  return keyTable({
    async lookup(key) {
      const answer = await pool.ask(`get ${encoded(key)}\n`)
      const [, code = '', text = ''] = /^(\d{3})(?: (.*))?$/s.exec(answer) ?? []
      if (code === '200') return decoded(text)
      if (code === '500') return undefined
      throw new Error(code === '400' ? decoded(text) : `it answered ${answer.slice(0, 100)}`)
    },
    close: () => pool.close(),
  })
}

const lines: ExchangeProtocol = {
  takeAnswer(received) {
    const end = received.indexOf(10)
    if (end < 0) return undefined
    return { text: received.toString('utf8', 0, end).replace(/\r$/, ''), length: end + 1 }
  },
}

/** Blanks, control characters, `%` and what is not ASCII are written %XX. */
function encoded(text: string): string {
  return text.replace(/[^\x21-\x24\x26-\x7e]+/gu, (part) =>
    [...Buffer.from(part)].map((octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

function decoded(text: string): string {
  const octets = text.split(/(%[0-9A-Fa-f]{2})/)
  return Buffer.concat(
    octets.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : Buffer.from(part.slice(1), 'hex'))),
  ).toString('utf8')
}
