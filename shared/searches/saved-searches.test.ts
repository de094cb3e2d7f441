import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { deleteSearch, readSearches, renameSearch, saveSearch, searchNamed, searchesFor } from './saved-searches.ts'

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-searches-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

const written = { by: 'olga', at: Date.UTC(2026, 10, 21) }

test('a search is kept under its name for everybody, or for one alone, and replaced by one of the same name', async (t) => {
  const folder = await folderOf(t)
  assert.deepEqual(await readSearches(folder), [])
  await saveSearch(folder, { ...written, name: ' Stuck mail ', query: 'status:delayed' })
  await saveSearch(folder, { ...written, name: 'stuck MAIL', query: 'status:delayed after:1d', owner: 'olga' })
  await saveSearch(folder, { ...written, name: 'Stuck Mail', query: 'status:open' })
  const all = await readSearches(folder)
  assert.deepEqual(
    all.map(({ name, query, owner }) => [name, query, owner]),
    [
      ['stuck MAIL', 'status:delayed after:1d', 'olga'],
      ['Stuck Mail', 'status:open', undefined],
    ],
  )
  assert.deepEqual(
    searchesFor(all, 'rita').map(({ query }) => query),
    ['status:open'],
  )
  assert.equal(searchNamed(all, 'stuck mail', 'olga')?.query, 'status:delayed after:1d')
  assert.equal(searchNamed(all, 'stuck mail', undefined)?.query, 'status:open')
  assert.equal(searchNamed(all, 'other', undefined), undefined)
})

test('searches are renamed and deleted, and no other with them', async (t) => {
  const folder = await folderOf(t)
  for (const name of ['one', 'two']) await saveSearch(folder, { ...written, name, query: `tag:${name}` })
  await renameSearch(folder, { name: 'ONE' }, 'three')
  await assert.rejects(renameSearch(folder, { name: 'three' }, 'Two'), /there is a search 'Two' already/)
  await renameSearch(folder, { name: 'three' }, 'Three')
  await assert.rejects(renameSearch(folder, { name: 'one' }, 'x'), /there is no search 'one'/)
  await assert.rejects(deleteSearch(folder, { name: 'Three', owner: 'olga' }), /there is no search/)
  await deleteSearch(folder, { name: 'two' })
  assert.deepEqual(
    (await readSearches(folder)).map(({ name, query }) => [name, query]),
    [['Three', 'tag:one']],
  )
})

test('many who save at once lose nothing; a name or a query that is none is not kept', async (t) => {
  const folder = await folderOf(t)
  const names = Array.from({ length: 20 }, (_, n) => `search ${n}`)
  await Promise.all(names.map((name) => saveSearch(folder, { ...written, name, query: 'status:held' })))
  assert.equal((await readSearches(folder)).length, 20)
  for (const [name, query, told] of [
    ['', 'x', /a name of at most 60/],
    ['a\nb', 'x', /in one line/],
    ['x'.repeat(61), 'x', /a name of at most 60/],
    ['x', 'form:x', /'form:' is not known/],
  ] as const)
    await assert.rejects(saveSearch(folder, { ...written, name, query }), told)
  assert.equal((await readSearches(folder)).length, 20)
})
