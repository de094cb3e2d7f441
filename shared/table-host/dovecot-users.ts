import type { ExternalTable } from '../config/external-table.ts'
import type { ExchangeProtocol } from './exchange-connection.ts'
import { ExchangePool } from './exchange-pool.ts'
import { keyTable } from './key-table.ts'
import type { ServerTableOptions } from './tcp-table.ts'

/**
 * The users Dovecot knows, asked at its socket `auth-userdb` (authentication protocol 1.x, master part): the value is
 * `uid:gid:home`, or empty where Dovecot does not say them.
 */
export function openDovecotUsers(options: ServerTableOptions): ExternalTable {
  const pool = new ExchangePool({ ...options, protocol: userQuestions })
  return keyTable({
    async lookup(user) {
      if (/[\t\x01]/.test(user)) return undefined
      const [word, id, ...fields] = (await pool.ask(`USER\t1\t${user}\tservice=smtp\n`)).split('\t')
      if (word === 'NOTFOUND') return undefined
      if (word === 'USER' && id !== undefined) return accountOf(fields.slice(1))
      throw new Error(`Dovecot cannot tell: ${fields.find((field) => field.startsWith('reason=')) ?? word}`)
    },
    close: () => pool.close(),
  })
}

function accountOf(fields: readonly string[]): string {
  const named = new Map(fields.map((field) => [field.replace(/=.*$/s, ''), field.replace(/^[^=]*=?/, '')]))
  const parts = ['uid', 'gid', 'home'].map((name) => named.get(name))
  return parts.includes(undefined) ? '' : parts.join(':')
}

/** What the server says of itself first is passed over, but for another major version. */
const userQuestions: ExchangeProtocol = {
  hello: 'VERSION\t1\t1\n',
  takeAnswer(received) {
    let begin = 0
    for (let end = received.indexOf(10); end >= 0; end = received.indexOf(10, begin)) {
      const text = received.toString('utf8', begin, end)
      if (/^VERSION\t(?!1\t)/.test(text)) throw new Error('Dovecot speaks another version of its protocol')
      if (/^(?:USER|NOTFOUND|FAIL)\t/.test(text)) return { text, length: end + 1 }
      begin = end + 1
    }
    return undefined
  },
}
