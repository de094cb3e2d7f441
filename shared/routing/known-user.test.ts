import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ExternalTable } from '../config/external-table.ts'
import type { PipelineSettings, Table, UserSource } from '../config/model.ts'
import { settle } from '../config/settle.ts'
import { openTables, TableError } from '../config/tables.ts'
import { formatReply } from '../mail/reply.ts'
import { resolveRecipient } from './expand.ts'
import { contextOf, mailbox } from './routing-fixture.ts'

const at = { file: '', line: 1, column: 1 }

function list(...names: readonly string[]): UserSource {
  return { kind: 'table', table: { name: 'list', source: { kind: 'inline', list: names }, at } }
}

function program(name: string): UserSource {
  return { kind: 'table', table: { name, source: { kind: 'process', program: `/bin/${name}` }, at } }
}

/** LMTP servers and programs know these users; the program "broken" cannot tell. Returns what was asked, too. */
function externals(known: readonly string[]) {
  const asked: string[] = []
  const open = ({ name, source }: Table): ExternalTable => {
    const check = async (_service: string, key: string) => {
      asked.push(`${source.kind === 'lmtp' ? 'lmtp' : name} ${key}`)
      if (name === 'broken') throw new Error('away')
      return { value: known.includes(key) ? '' : undefined }
    }
    const nothing = async () => ({ value: undefined })
    return { lookup: check, check, fetch: nothing, update: async () => undefined, close: async () => undefined }
  }
  return { open, asked }
}

const rules = {
  lmtp: 'action "in" lmtp "mail:24"\n',
  maildir: 'action "in" maildir\n',
  userbase: 'table u { joe = "1:1:/home/joe", ann = "2:2:/home/ann" }\naction "in" lmtp "mail:24" userbase <u>\n',
}

interface Asked {
  readonly users: PipelineSettings['users']
  readonly action?: keyof typeof rules
  /** To servers and programs. */
  readonly known?: readonly string[]
}

async function answerTo(user: string, { users, action = 'lmtp', known = [] }: Asked) {
  const { open, asked } = externals(known)
  const context = contextOf(`${rules[action]}match from any for domain a.org action "in"\n`, {}, { users })
  const tables = openTables({ external: open })
  const resolution = await settle(tables, (settled) =>
    resolveRecipient({ ...context, tables: settled }, mailbox(`${user}@a.org`)),
  )
  const answer = resolution.kind === 'accepted' ? 'accepted' : formatReply(resolution.reply)
  return { answer, asked }
}

test('sources are asked in order, and the first that knows the user counts', async () => {
  const users = {
    kind: 'sources',
    sources: [list('joe'), program('shop'), { kind: 'lmtp' }],
    verifiesMailbox: false,
  } as const
  assert.deepEqual(await answerTo('joe', { users }), { answer: 'accepted', asked: [] })
  assert.deepEqual(await answerTo('ann', { users, known: ['ann@a.org'] }), {
    answer: 'accepted',
    asked: ['shop ann', 'shop ann@a.org'],
  })
  assert.deepEqual(await answerTo('eve', { users }), {
    answer: '550 5.1.1 Invalid recipient: <eve@a.org>',
    asked: ['shop eve', 'shop eve@a.org', 'lmtp eve'],
  })
})

test('a source that cannot tell is a temporary failure, unless one before it knows', async () => {
  const users = {
    kind: 'sources',
    sources: [list('joe'), program('broken'), list('ann')],
    verifiesMailbox: false,
  } as const
  assert.equal((await answerTo('joe', { users })).answer, 'accepted')
  await assert.rejects(answerTo('ann', { users }), TableError)
})

test('the LMTP server among others is asked for its own actions only', async () => {
  const users = { kind: 'sources', sources: [list('joe'), { kind: 'lmtp' }], verifiesMailbox: false } as const
  assert.match((await answerTo('ann', { users, action: 'maildir', known: ['ann'] })).answer, /^550 5\.1\.1/)
  assert.equal((await answerTo('ann', { users, known: ['ann'] })).answer, 'accepted')
})

test('verify-mailbox refuses who is listed and has no mailbox', async () => {
  const users = { kind: 'sources', sources: [list('joe', 'ann')], verifiesMailbox: true } as const
  for (const action of ['lmtp', 'userbase'] as const) {
    assert.equal((await answerTo('joe', { users, action, known: ['joe'] })).answer, 'accepted')
    assert.match((await answerTo('ann', { users, action, known: ['joe'] })).answer, /^550 5\.1\.1/)
    assert.deepEqual(await answerTo('eve', { users, action, known: ['eve'] }), {
      answer: '550 5.1.1 Invalid recipient: <eve@a.org>',
      asked: [],
    })
  }
})
