import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { openAudit } from '../../shared/audit.ts'
import { silentLog } from '../../shared/log.ts'
import { heldQueue } from '../../shared/queue/queues.ts'
import { redisMissing } from '../../shared/queue/testing.ts'
import { parseQuery } from '../../shared/store/query.ts'
import { openStoreReader, openStoreWriter } from '../../shared/store/open-store.ts'
import { sqlitePlace } from '../../shared/store/store-place.ts'
import { openBench, quarantineOnce } from './testing.ts'

const skip = await redisMissing()

/** What the ledger does, until a search finds so many. */
async function takeOver(dataFolder: string, query: string, count: number): Promise<void> {
  const folder = join(dataFolder, 'events')
  const writer = await openStoreWriter({ folder, place: sqlitePlace, now: () => Date.now(), warn: assert.fail })
  const reader = await openStoreReader(folder, sqlitePlace)
  while ((await reader.count({ query: parseQuery(query, Date.now()), most: count })) < count) {
    await writer.tick()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await reader.close()
  await writer.close()
}

test('what a search finds is counted, asked about, done, and stands in the audit log', { skip }, async (t) => {
  const { ctl, answering, context, accept } = await openBench(t)
  const { dataFolder } = context
  const [one, other] = [await accept(), await accept(['eve@localhost'])]
  await takeOver(dataFolder, 'status:queued queue:filter', 2)
  const waiting = async () => {
    const counts = await context.queues.counts()
    return ['filter', heldQueue].map((name) => counts.get(name)?.waiting)
  }

  const dry = await ctl('hold', '--search', 'to:jane@localhost', '--dry-run')
  assert.equal(dry.errors, '')
  assert.equal(dry.out, '1 message to be held, of 1 message found (queued 1); nothing is changed\n')
  assert.deepEqual(await waiting(), [2, 0])

  const asked: string[] = []
  const no = await answering(false, asked, 'hold', '--search', 'to:jane@localhost')
  assert.deepEqual([no.code, no.errors], [1, 'sluicectl: nothing is changed\n'])
  assert.deepEqual(asked, ['1 message found (queued 1)\nhold 1 message?'])
  assert.deepEqual(await waiting(), [2, 0])
  const yes = await answering(true, asked, 'hold', '--search', 'to:jane@localhost')
  assert.deepEqual([yes.errors, yes.out], ['', '1 job held\n'])
  assert.equal(asked.length, 2)
  assert.deepEqual(await waiting(), [1, 1])
  assert.match((await ctl('show', 'message', one)).out, /held by .*\(sluicectl\)/)

  assert.equal((await answering(true, asked, 'remove', '--search', `id:${other}`, '--yes')).out, '1 job removed\n')
  assert.equal(asked.length, 2)
  const none = await ctl('remove', '--search', 'to:nobody@localhost')
  assert.deepEqual([none.code, none.errors], [1, 'sluicectl: nothing that is found can be removed\n'])
  assert.match((await ctl('remove', '--search', 'form:x')).errors, /'form:' is not known/)

  const runs = JSON.parse((await ctl('bulk', 'list', '--json')).out) as readonly { id: string; state: string }[]
  assert.deepEqual(
    runs.map(({ state }) => state),
    ['done', 'done'],
  )
  const listed = await ctl('bulk', 'list')
  assert.match(listed.out, /remove +done +id:\w+ +1 job removed/)
  assert.match((await ctl('bulk', 'resume', runs[0]?.id ?? '')).errors, /has come to its end/)
  assert.match((await ctl('bulk', 'cancel', '0mi8v2c4b-00000000')).errors, /there is no run/)

  const audit = await openAudit(dataFolder, { log: silentLog(), clock: context.clock })
  const entries = await audit.last(4)
  assert.deepEqual(
    entries.map(({ action, about, detail }) => [action, about, detail?.replace(/run \S+/, 'run')]),
    [
      ['remove, by search', `id:${other}`, '1 job removed'],
      ['remove, by search', `id:${other}`, 'run of 1 message'],
      ['hold, by search', 'to:jane@localhost', '1 job held'],
      ['hold, by search', 'to:jane@localhost', 'run of 1 message'],
    ],
  )
  await audit.close()
})

test('a search sends copies to another address, each once, and nothing to those it was for', { skip }, async (t) => {
  const { ctl, answering, accept, context } = await openBench(t)
  const [one, other] = [await accept(), await accept(['eve@localhost'])]
  const lab = ['--to', 'lab@localhost'] as const
  await takeOver(context.dataFolder, 'status:queued', 2)
  const dry = await ctl('replay', '--search', 'status:queued', ...lab, '--dry-run')
  assert.equal(
    dry.out,
    '2 messages to be copied to lab@localhost, of 2 messages found (queued 2); nothing is changed\n',
  )
  const asked: string[] = []
  assert.equal((await answering(false, asked, 'replay', '--search', 'status:queued', ...lab)).code, 1)
  assert.deepEqual(asked, ['2 messages found (queued 2)\nreplay 2 messages to lab@localhost?'])
  assert.equal((await ctl('replay', '--search', 'status:queued', ...lab)).out, '2 messages copied to lab@localhost\n')
  const recipients = async (): Promise<readonly string[]> =>
    (await context.queues.list('filter', ['waiting'], 0, 99)).map(({ data }) => data.to.join()).toSorted()
  while ((await recipients()).length < 4);
  assert.deepEqual(await recipients(), ['eve@localhost', 'jane@localhost', 'lab@localhost', 'lab@localhost'])
  for (const id of [one, other])
    assert.match((await ctl('show', 'message', id)).out, /goes again from its beginning, for lab@localhost, as message/)

  // Its own copies are found by now, too.
  await takeOver(context.dataFolder, 'to:lab@localhost', 2)
  const twice = await ctl('replay', '--search', 'status:queued', ...lab)
  assert.match(twice.out, /^0 messages copied to lab@localhost, 4 left: lab@localhost has it already, or will/)
  assert.equal((await recipients()).length, 4)
  assert.match((await ctl('bulk', 'list')).out, /replay, copies for lab@localhost +done/)
  assert.match((await ctl('replay', '--search', 'status:queued', '--to', 'lab')).errors, /'lab' is not an address/)
})

test('what a filter keeps back is left by a search, unless that is asked for', { skip }, async (t) => {
  const { ctl, accept, context } = await openBench(t)
  await accept()
  await quarantineOnce(context, 'spam')
  await takeOver(context.dataFolder, 'status:held', 1)
  assert.equal((await ctl('release', '--search', 'status:held')).out, '0 jobs released\n')
  assert.equal((await ctl('release', '--search', 'status:held', '--quarantined')).out, '1 job released\n')
})

test(
  'what is done to all of a tag is asked about on a terminal; options that say nothing are refused',
  { skip },
  async (t) => {
    const { ctl, answering, accept, context } = await openBench(t)
    const id = await accept()
    const asked: string[] = []
    const no = await answering(false, asked, 'remove', '--destination', 'localhost')
    assert.deepEqual([no.code, asked], [1, ['remove 1 message, 1 job?']])
    assert.equal((await context.queues.jobsOf(id)).length, 1)
    assert.equal((await ctl('remove', '--destination', 'localhost')).out, '1 job removed\n')
    for (const [args, told] of [
      [['remove', id, '--yes'], /--yes goes with/],
      [['remove', id, '--search', 'x'], /name one of: an ID/],
      [['remove', id, '--quarantined'], /--quarantined goes with --search/],
      [['release', '--tag', 'x', '--learn-ham'], /--learn-ham goes with an ID/],
      [['replay'], /name one of: an ID, --search QUERY/],
      [['replay', '--search', 'x', '--recipient', 'a@b'], /--recipient goes with an ID/],
    ] as const) {
      const { code, errors } = await ctl(...args)
      assert.equal(code, 2, errors)
      assert.match(errors, told)
    }
  },
)
