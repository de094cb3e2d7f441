import type { ExternalTable } from '../config/external-table.ts'
import type { ExchangeProtocol } from './exchange-connection.ts'
import { ExchangePool } from './exchange-pool.ts'
import { keyTable } from './key-table.ts'
import type { ServerTableOptions } from './tcp-table.ts'

export interface SocketmapOptions extends ServerTableOptions {
  /** Of the maps of the server. */
  readonly map: string
}

/** Sendmail's and Postfix's socketmap_table(5), netstrings: `MAP KEY`; `OK VALUE`, `NOTFOUND`, `TEMP`, `TIMEOUT` or `PERM` with a reason. */
export function openSocketmap({ map, ...options }: SocketmapOptions): ExternalTable {
  const pool = new ExchangePool({ ...options, protocol: netstrings })
  return keyTable({
    async lookup(key) {
      const answer = await pool.ask(netstring(`${map} ${key}`))
      const [, word = '', text = ''] = /^(\S+)(?: (.*))?$/s.exec(answer) ?? []
      if (word === 'OK') return text
      if (word === 'NOTFOUND') return undefined
      throw new Error(`it answered ${answer.slice(0, 200)}`)
    },
    close: () => pool.close(),
  })
}

function netstring(text: string): string {
  return `${Buffer.byteLength(text)}:${text},`
}

const netstrings: ExchangeProtocol = {
  takeAnswer(received) {
    const [head, digits] = /^(\d{1,6}):/.exec(received.toString('latin1', 0, 7)) ?? []
    if (head === undefined) {
      if (received.length < 7 && /^\d*$/.test(received.toString('latin1'))) return undefined
      throw new Error('its answer is no netstring')
    }
    const end = head.length + Number(digits)
    if (received.length <= end) return undefined
    if (received[end] !== 0x2c) throw new Error('its answer is no netstring')
    return { text: received.toString('utf8', head.length, end), length: end + 1 }
  },
}
