import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ExternalTable, TableAnswer } from './external-table.ts'
import type { Table } from './model.ts'
import { settle } from './settle.ts'
import { openTables, TableError } from './tables.ts'

const at = { file: 'smtpd.conf', line: 1, column: 1 }
const table: Table = { name: 'users', source: { kind: 'process', program: '/bin/users' }, at }

/** A table that answers from `entries`, and what it was asked. */
function externalOf(entries: Readonly<Record<string, string>>) {
  const asked: string[] = []
  const answer = async (question: string, key: string): Promise<TableAnswer> => {
    asked.push(question)
    if (key === 'broken') throw new Error('the database is away')
    return { value: entries[key] }
  }
  let turn = 0
  const external: ExternalTable = {
    lookup: (service, key) => answer(`lookup ${service} ${key}`, key),
    check: (service, key) => answer(`check ${service} ${key}`, key),
    async fetch(service) {
      asked.push(`fetch ${service}`)
      turn += 1
      return { value: `entry ${turn}` }
    },
    async update() {
      asked.push('update')
    },
    async close() {
      asked.push('close')
    },
  }
  return { external, asked }
}

function openedWith(entries: Readonly<Record<string, string>>) {
  const { external, asked } = externalOf(entries)
  const clock = { nowMs: 0 }
  const tables = openTables({ external: () => external, now: () => clock.nowMs })
  return { tables, asked, clock }
}

test('an evaluation whose answers are at hand is not made to wait', () => {
  const { tables } = openedWith({})
  const list: Table = { name: 't', source: { kind: 'inline', list: ['a.org'] }, at }
  assert.equal(
    settle(tables, (settled) => settled.matchesDomain(list, 'a.org')),
    true,
  )
})

test('an evaluation goes on until all its answers are there, and sees each as the same throughout', async () => {
  const { tables, asked, clock } = openedWith({ joe: 'ann', ann: 'eve' })
  const chain = await settle(tables, (settled) => {
    clock.nowMs += 60_000
    const first = settled.lookup(table, 'Joe') ?? ''
    const second = settled.lookup(table, first) ?? ''
    return [first, second, settled.lookup(table, second), settled.contains(table, 'joe')]
  })
  assert.deepEqual(chain, ['ann', 'eve', undefined, true])
  assert.deepEqual(asked, ['lookup alias joe', 'lookup alias ann', 'lookup alias eve', 'check string joe'])
})

test('each kind of look-up asks for its service', async () => {
  const found = { 'a.org': '', '192.0.2.1': '', 'joe@a.org': '', joe: 'JOE:1000:100:/home/joe', label: 'u:p', x: '' }
  const { tables, asked } = openedWith(found)
  const all = await settle(tables, (settled) => [
    settled.matchesDomain(table, 'A.org'),
    settled.matchesAddress(table, '192.0.2.1'),
    settled.matchesMailbox(table, 'joe@a.org'),
    settled.matchesExpression(table, 'x'),
    settled.relayLogin(table, 'label'),
    settled.userInfo(table, 'joe'),
  ])
  assert.deepEqual(all.slice(0, 4), [true, true, true, true])
  assert.deepEqual(all.slice(4), [
    { user: 'u', password: 'p' },
    { uid: 1000, gid: 100, home: '/home/joe' },
  ])
  assert.deepEqual(asked, [
    'check domain a.org',
    'check netaddr 192.0.2.1',
    'check mailaddr joe@a.org',
    'check regex x',
    'lookup credentials label',
    'lookup userinfo joe',
  ])
})

test('the hash of a user may come with his name, and with the scheme that Dovecot writes before it', async () => {
  const { tables } = openedWith({ joe: 'joe:$2b$10$hash', ann: '$2b$10$other', eve: 'eve:{BLF-CRYPT}$2y$05$dovecot' })
  assert.equal(await settle(tables, (settled) => settled.passwordHash(table, 'Joe')), '$2b$10$hash')
  assert.equal(await settle(tables, (settled) => settled.passwordHash(table, 'ann')), '$2b$10$other')
  assert.equal(await settle(tables, (settled) => settled.passwordHash(table, 'eve')), '$2y$05$dovecot')
})

test('a table that cannot answer is a temporary failure, never "not found", and is asked again', async () => {
  const { tables, asked } = openedWith({})
  for (const _ of [1, 2]) {
    const look = async (): Promise<unknown> => settle(tables, (settled) => settled.lookup(table, 'broken'))
    await assert.rejects(look, new TableError('table "users": the database is away'))
  }
  assert.equal(asked.length, 2)
})

test('a name with a line end is in no table', async () => {
  const { tables, asked } = openedWith({})
  assert.equal(await settle(tables, (settled) => settled.lookup(table, 'joe\ntable|')), undefined)
  assert.deepEqual(asked, [])
})

test('answers are kept for a short time, "not found" for a shorter one', async () => {
  const { tables, asked, clock } = openedWith({ joe: 'ann' })
  const look = async (key: string): Promise<unknown> => settle(tables, (settled) => settled.lookup(table, key))
  for (const nowMs of [0, 4_000, 6_000, 12_000]) {
    clock.nowMs = nowMs
    await look('joe')
    await look('nobody')
  }
  assert.deepEqual(asked, [
    'lookup alias joe',
    'lookup alias nobody',
    'lookup alias nobody',
    'lookup alias joe',
    'lookup alias nobody',
  ])
})

test('equal questions at one time are one question', async () => {
  const { tables, asked } = openedWith({ joe: 'ann' })
  const look = async (): Promise<unknown> => settle(tables, (settled) => settled.lookup(table, 'joe'))
  assert.deepEqual(await Promise.all([look(), look(), look()]), ['ann', 'ann', 'ann'])
  assert.equal(asked.length, 1)
})

test('a list gives its entries by turns, one for each evaluation', async () => {
  const { tables } = openedWith({})
  const fetched = async () => settle(tables, (settled) => [settled.entries(table), settled.entries(table)])
  assert.deepEqual(await fetched(), [['entry 1'], ['entry 1']])
  assert.deepEqual(await fetched(), [['entry 2'], ['entry 2']])
})

test('a reload forgets the answers, keeps tables that stay, and closes the others', async () => {
  const { tables, asked } = openedWith({ joe: 'ann' })
  await settle(tables, (settled) => settled.lookup(table, 'joe'))
  await tables.follow([{ ...table, at: { ...at, line: 7 } }])
  assert.equal(await settle(tables, (settled) => settled.lookup(table, 'joe')), 'ann')
  await tables.follow([])
  assert.deepEqual(asked, ['lookup alias joe', 'update', 'lookup alias joe', 'close'])
})
