import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { JobView } from '../../shared/report/views.ts'
import { sampleAt, sampleJob, sampleSource } from './sample-source.ts'
import { failingOperations, openTestApp, TestBrowser } from './testing.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'

const hash = (password: string): string => shaCrypt(password, '$6$rounds=1000$abcdefgh')
const operators = { olga: hash('engine'), rita: `reader:${hash('glass')}` }
const [spam, more, virus] = [newMessageId(sampleAt), newMessageId(sampleAt), newMessageId(sampleAt)]
const kept = (id: typeof spam, fields: Partial<JobView> = {}): JobView =>
  sampleJob({ id, state: 'held', quarantine: 'spam', reason: 'spam score 12 of 10', heldAt: sampleAt, ...fields })
const held = [kept(spam), kept(more), kept(virus, { quarantine: 'virus', reason: 'virus: Eicar' })]

async function open(t: TestContext, jobs: readonly JobView[] = held, failing?: Error) {
  const source = sampleSource({ jobs })
  const opened = await openTestApp(t, {
    source,
    operators,
    ...(failing === undefined ? {} : { operations: failingOperations(failing) }),
  })
  const browser = async (name: string, password: string): Promise<TestBrowser> => {
    const one = new TestBrowser(opened.app)
    assert.equal((await one.signIn(name, password)).statusCode, 303)
    return one
  }
  return { ...opened, olga: await browser('olga', 'engine'), rita: await browser('rita', 'glass') }
}

const idsOf = (...ids: readonly string[]): string => ids.map((id) => `id=${id}`).join('&')

test('held messages that were chosen are shown once more, and then released, removed, or their senders blocked', async (t) => {
  for (const [action, button] of [
    ['release', 'Release'],
    ['release-ham', 'Release and learn as wanted'],
    ['block', 'Block their senders'],
    ['remove', 'Remove'],
  ] as const) {
    const { olga, done, audit } = await open(t)
    const list = (await olga.get('/held')).body
    assert.match(list, new RegExp(`<input type="checkbox" form="chosen" name="id" value="${spam}"`))
    assert.match(list, new RegExp(`formaction="/held/${action}"`))
    const page = `/held/${action}?${idsOf(spam, more)}`
    const { body } = await olga.get(page)
    assert.match(body, /: 2 messages<\/h1>/)
    assert.match(body, new RegExp(`>${button}</button>`))
    const reply = await olga.send(page, `/held/${action}`, { id: spam })
    assert.equal(reply.headers.location, `/held?done=${action}&messages=1`)
    assert.deepEqual(done, [`${action} ${spam} olga (dashboard)`])
    const [last] = await audit.last(1)
    assert.deepEqual([last?.by, last?.about, last?.outcome], ['olga', spam, 'done'])
    assert.match((await olga.get(reply.headers.location)).body, /Done:<\/strong> 1 message /)
  }
})

test('what is not among those that were looked at for a virus is not let go', async (t) => {
  const { olga, done, audit } = await open(t)
  const other = newMessageId(sampleAt)
  await olga.send(`/held/release?${idsOf(spam)}`, '/held/release', { id: other })
  assert.deepEqual(done, [])
  assert.match((await audit.last(1))[0]?.detail ?? '', /not among those/)
})

test('a virus is not let go among others', async (t) => {
  const { olga, done, audit } = await open(t)
  const page = `/held/release?${idsOf(spam, virus)}`
  const { body } = await olga.get(page)
  assert.match(body, /Release: 1 message<[^]*1 message with a virus left out/)
  assert.doesNotMatch(body, new RegExp(`name="id" value="${virus}"`))
  const reply = await olga.send(page, '/held/release', { id: virus })
  assert.equal(reply.headers.location, `/held/release?done=release&messages=0&id=${virus}`)
  assert.deepEqual(done, [])
  assert.match((await audit.last(1))[0]?.detail ?? '', /virus/)
  assert.match((await olga.get(`/held/remove?${idsOf(virus)}`)).body, new RegExp(`name="id" value="${virus}"`))
})

test('what is no longer held is told before, and what cannot be done stays chosen', async (t) => {
  const { olga, audit } = await open(t, [kept(spam)], new OperationError('a worker has it'))
  assert.match((await olga.get(`/held/remove?${idsOf(spam, more)}`)).body, /1 message not among them/)
  assert.match((await olga.get('/held/remove')).body, /None is chosen/)
  const reply = await olga.send(`/held/remove?${idsOf(spam)}`, '/held/remove', { id: spam })
  assert.equal(reply.headers.location, `/held/remove?done=remove&messages=0&id=${spam}`)
  assert.match((await olga.get(reply.headers.location)).body, /Some could not be done/)
  assert.equal((await audit.last(1))[0]?.detail, 'a worker has it')
})

test('a reader sees what is held and has nothing to choose by', async (t) => {
  const { rita, done } = await open(t)
  const { body } = await rita.get('/held')
  assert.match(body, /spam score 12 of 10/)
  assert.doesNotMatch(body, /checkbox|formaction/)
  assert.equal((await rita.get(`/held/remove?${idsOf(spam)}`)).headers.location, '/held')
  assert.equal((await rita.send('/', '/held/remove', { id: spam })).statusCode, 403)
  assert.deepEqual(done, [])
})

test('a long quarantine has pages, and all of a page can be chosen without a script', async (t) => {
  const many = Array.from({ length: 201 }, () => kept(newMessageId(sampleAt)))
  const { olga } = await open(t, many)
  const first = (await olga.get('/held?all=yes')).body
  assert.equal(first.match(/ checked /g)?.length, 200)
  assert.match(first, /rel="next" href="\/held\?start=200"/)
  const last = (await olga.get('/held?start=200')).body
  assert.match(last, new RegExp(`value="${many[200]?.id}"`))
  assert.match(last, /rel="prev" href="\/held"/)
})
