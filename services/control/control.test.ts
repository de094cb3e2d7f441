import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { startHeartbeats } from '../../shared/heartbeat.ts'
import { RateMeter } from '../../shared/rate-meter.ts'
import { hold, pass } from '../../shared/mail/disposition.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import { tag } from '../../shared/mail/tag.ts'
import { expireQuarantine } from '../../shared/pipeline/expire-quarantine.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import { connectOnce } from '../../shared/queue/connection.ts'
import { redisMissing } from '../../shared/queue/testing.ts'
import type { ServiceContext } from '../../shared/service.ts'
import type { JobView, MessageView, QueueView } from '../../shared/report/views.ts'
import { openBench, quarantineOnce, runPrinting, stageOnce, workOnce } from './testing.ts'

const skip = await redisMissing()

test('mailq prints what waits as Postfix does, for people and for programs', { skip }, async (t) => {
  const bench = await openBench(t)
  assert.equal((await bench.ctl('mailq')).out, 'Mail queue is empty\n')
  const [waiting, held] = [await bench.accept(), await bench.accept(['jane@localhost', 'ann@localhost'])]
  await bench.ctl('hold', held)
  const { out } = await bench.ctl('mailq')
  const when = '[A-Z][a-z]{2} [A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d'
  assert.match(out, /^-Queue ID- {2}--Size-- ----Arrival Time---- -Sender\/Recipient-------$/m)
  assert.match(out, new RegExp(`^${waiting} +\\d+ ${when} joe@example\\.net\n {41}jane@localhost\n\n`, 'm'))
  assert.match(out, new RegExp(`^${held}! +\\d+ ${when} joe@example\\.net\n`, 'm'))
  assert.match(out, /^ {41}ann@localhost$/m)
  assert.match(out, /^-- 1 Kbytes in 2 Requests\.$/m)
  const lines = (await bench.ctl('mailq', '--json')).out.trimEnd().split('\n')
  const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual([first?.['queue_id'], first?.['queue_name']], [waiting, 'incoming'])
  assert.deepEqual([second?.['queue_id'], second?.['queue_name']], [held, 'hold'])
  const recipients = (second?.['recipients'] ?? []) as readonly { readonly address: string }[]
  assert.deepEqual(
    recipients.map(({ address }) => address),
    ['jane@localhost', 'ann@localhost'],
  )
})

test('show queue tells the numbers and each message', { skip }, async (t) => {
  const { ctl, accept } = await openBench(t)
  const ids = [await accept(), await accept()]
  const { code, out } = await ctl('show', 'queue', '--json')
  assert.equal(code, 0)
  const shown = JSON.parse(out) as { queues: QueueView[]; jobs: JobView[] }
  assert.equal(shown.queues.find((queue) => queue.name === 'filter')?.waiting, 2)
  assert.deepEqual(
    shown.jobs.map((job) => job.id),
    ids,
  )
  const text = (await ctl('show', 'queue')).out
  for (const id of ids)
    assert.match(text, new RegExp(`^${id}  filter  waiting .* joe@example.net  jane@localhost`, 'm'))
  assert.match((await ctl('show', 'queue', '--limit', '1')).out, /and 1 message more: --limit 0 shows all/)
  assert.equal((await ctl('show', 'queue', 'nowhere')).code, 2)
})

test('show message tells the story, with Redis and without', { skip }, async (t) => {
  const { ctl, accept, redis } = await openBench(t)
  const id = await accept()
  const read = async (): Promise<MessageView> =>
    JSON.parse((await ctl('show', 'message', id, '--json')).out) as MessageView
  let shown = await read()
  // The journal is written in the background.
  while (!shown.story.some((line) => line.event === 'received')) shown = await read()
  assert.equal(shown.knownFrom, 'spool')
  assert.deepEqual(
    shown.recipients.map((recipient) => recipient.state),
    ['waiting'],
  )
  await redis.stop()
  const { code, out } = await ctl('show', 'message', id.toUpperCase())
  assert.equal(code, 0)
  assert.match(out, /queues not seen: Redis does not answer/)
  assert.match(out, /received from joe@example.net for jane@localhost/)
  assert.match(out, /acceptance\n {2}\+ Received: from mx.example.net by mx.example.org; now/)
  const away = await ctl('show', 'queue')
  assert.equal(away.code, 1)
  assert.match(away.errors, /^sluicectl: Redis does not answer on .*\n$/)
})

test('remove drops a message from queue and spool for good', { skip }, async (t) => {
  const { ctl, accept } = await openBench(t)
  const id = await accept()
  assert.deepEqual(JSON.parse((await ctl('remove', id, '--json')).out), { id, removed: 1 })
  assert.match((await ctl('rebuild')).out, /^0 messages in the spool, 0 messages queued again/)
  const shown = JSON.parse((await ctl('show', 'message', id, '--json')).out) as MessageView
  assert.equal(shown.recipients[0]?.state, 'removed')
  assert.ok(shown.story.some((line) => line.event === 'removed'))
  assert.equal((await ctl('remove', id)).code, 1)
})

test('remove refuses while a worker has the message', { skip }, async (t) => {
  const { ctl, accept, context } = await openBench(t)
  const id = await accept()
  let finish: () => void = () => undefined
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const worker = await new Promise<{ close(): Promise<void> }>((resolve) => {
    const opened = context.queues.work('filter', {
      concurrency: 1,
      handler: async () => {
        resolve(opened)
        await finished
        return { kind: 'done' }
      },
    })
  })
  const { code, errors } = await ctl('remove', id)
  finish()
  await worker.close()
  assert.equal(code, 1)
  assert.match(errors, /is being worked on in queue filter/)
})

test('a held message is released into its queue', { skip }, async (t) => {
  const { ctl, accept, context } = await openBench(t)
  const id = await accept()
  await workOnce(context, (data) => ({ kind: 'park', data, reason: 'looks odd' }))
  const held = JSON.parse((await ctl('show', 'queue', '--json')).out) as { queues: QueueView[]; jobs: JobView[] }
  assert.equal(held.queues.find((queue) => queue.name === 'filter')?.held, 1)
  assert.deepEqual(
    held.jobs.map(({ state, reason }) => [state, reason]),
    [['held', 'looks odd']],
  )
  assert.equal((await ctl('release', id)).out, `message ${id} is back in filter\n`)
  const shown = JSON.parse((await ctl('show', 'message', id, '--json')).out) as MessageView
  assert.equal(shown.recipients[0]?.state, 'waiting')
  assert.equal((await ctl('release', id)).code, 1)
})

test(
  'what a filter keeps back is listed with its reason, and a release takes it past the filter',
  { skip },
  async (t) => {
    const { ctl, accept, context } = await openBench(t)
    assert.equal((await ctl('show', 'held')).out, 'Nothing is held.\n')
    const id = await accept()
    await quarantineOnce(context)
    assert.match(
      (await ctl('show', 'held')).out,
      new RegExp(`^${id}  virus .* jane@localhost  virus: Test-Signature`, 'm'),
    )
    const { held } = JSON.parse((await ctl('show', 'held', '--json')).out) as { held: JobView[] }
    assert.deepEqual(
      held.map((job) => [job.id, job.quarantine]),
      [[id, 'virus']],
    )
    assert.equal((await ctl('release', id)).code, 0)
    let released: boolean | undefined
    await stageOnce(context, async (message) => {
      released = message.released
      return pass(tag('Filtered'))
    })
    assert.equal(released, true)
    assert.deepEqual(
      (await context.queues.jobsOf(id)).filter((job) => job.state !== 'completed').map((job) => job.queue),
      ['deliver'],
    )
  },
)

test('a message that an operator held is filtered when it is released', { skip }, async (t) => {
  const { ctl, accept, context } = await openBench(t)
  const id = await accept()
  assert.equal((await ctl('hold', id)).out, `message ${id} is held in filter\n`)
  assert.match((await ctl('hold', id)).errors, /is held already/)
  const { held } = JSON.parse((await ctl('show', 'held', '--json')).out) as { held: JobView[] }
  assert.deepEqual([held[0]?.id, held[0]?.quarantine], [id, undefined])
  assert.equal((await ctl('release', id)).code, 0)
  let seen: boolean | undefined = true
  await stageOnce(context, async (message) => {
    seen = message.released
    return pass(tag('Filtered'))
  })
  assert.equal(seen, undefined)
})

test('what is kept back stays so, with its reason, when the queues are rebuilt from the spool', { skip }, async (t) => {
  const { accept, context } = await openBench(t)
  const id = await accept()
  await quarantineOnce(context)
  const [job] = await context.queues.jobsOf(id)
  assert.ok(job)
  const { held } = job.data
  assert.ok(await context.queues.remove('held', job.jobId))
  await context.pipeline.rehold(await context.spool.read(job.data.at), [0])
  const [again] = await context.queues.jobsOf(id)
  assert.deepEqual(
    [again?.data.held?.reason, again?.data.held?.quarantine, again?.data.held?.queue],
    [held?.reason, 'virus', 'filter'],
  )
})

test('what killed its workers is held on disk too: an emptied Redis does not start it again', { skip }, async (t) => {
  const { ctl, accept, context, redis } = await openBench(t)
  const id = await accept()
  const [job] = await context.queues.jobsOf(id)
  const client = await connectOnce(redis.address, 'test', 2_000)
  t.after(() => client.disconnect())
  await client.hset(`sluice:filter:${job?.jobId}`, 'stc', '5', 'solo', '4', 'ats', '5')
  const stage = await defineStage({ name: 'filter', handle: () => assert.fail('started once more') }).start(context)
  while ((await context.queues.jobsOf(id))[0]?.queue !== 'held') await new Promise((resolve) => setImmediate(resolve))
  await stage.close()
  const outcomes = (await context.spool.outcomesOf([id])).get(id) ?? []
  assert.deepEqual(
    outcomes.map(({ kind, stage: where, recipient }) => [kind, where, recipient]),
    [['held', 'filter', 0]],
  )
  assert.match(outcomes[0]?.reason ?? '', /^poison: started \d times and never finished/)
  assert.match((await ctl('show', 'message', id)).out, /held .*poison: started/)
  await client.flushall()
  assert.match((await ctl('rebuild')).out, /1 message queued again/)
  const [again, ...others] = await context.queues.jobsOf(id)
  assert.deepEqual([again?.queue, again?.data.held?.reason, others], ['held', outcomes[0]?.reason, []])
})

test(
  'what is kept back too long is discarded with an outcome; what is held for another reason stays',
  { skip },
  async (t) => {
    const { ctl, accept, context } = await openBench(t)
    const kept = await accept()
    await quarantineOnce(context)
    const other = await accept()
    assert.equal((await ctl('hold', other)).code, 0)
    assert.equal(await expireQuarantine(context, 60_000), 0)
    assert.equal(await expireQuarantine({ ...context, clock: { now: () => Date.now() + 60_000 } }, 60_000), 1)
    const shown = JSON.parse((await ctl('show', 'message', kept, '--json')).out) as MessageView
    assert.deepEqual(
      shown.recipients.map(({ state, detail }) => [state, detail]),
      [['discarded', 'quarantine: virus: Test-Signature, kept for 1 min']],
    )
    const { held } = JSON.parse((await ctl('show', 'held', '--json')).out) as { held: JobView[] }
    assert.deepEqual(
      held.map((job) => job.id),
      [other],
    )
  },
)

test('schedule runs a delayed message, or all, now', { skip }, async (t) => {
  const { ctl, accept, context } = await openBench(t)
  const id = await accept()
  await workOnce(context, (data) => ({ kind: 'later', data, delayMs: 3_600_000, reason: '451 later' }))
  const states = async (): Promise<readonly string[]> =>
    (JSON.parse((await ctl('show', 'queue', '--json')).out) as { jobs: JobView[] }).jobs.map((job) => job.state)
  assert.deepEqual(await states(), ['delayed'])
  assert.equal((await ctl('schedule', id)).code, 0)
  assert.deepEqual(await states(), ['waiting'])
  assert.match((await ctl('schedule', id)).errors, /has no delayed job: filter waiting/)
  assert.equal((await ctl('schedule', 'all')).out, '0 messages will be tried now\n')
  assert.equal((await ctl('schedule', '--queue', 'relay')).out, '0 messages of relay will be tried now\n')
  assert.match((await ctl('schedule', '--queue', 'nowhere')).errors, /there is no queue 'nowhere'/)
  assert.match((await ctl('schedule', id, '--queue', 'relay')).errors, /--queue stands alone/)
})

test('ban: an operator keeps clients out, sees them, and lets them in again', { skip }, async (t) => {
  const { ctl, context } = await openBench(t)
  assert.equal((await ctl('ban', 'list')).out, 'Nobody is banned.\n')
  const added = await ctl('ban', 'add', '2001:DB8::7', '--for', '2h', '--reason', 'spam')
  assert.equal(added.out, '2001:db8:0:0::/64 is banned for 2 h\n')
  await ctl('ban', 'add', '192.0.2.7')
  assert.deepEqual((await context.queues.bans.list(Date.now())).map(({ client }) => client).toSorted(), [
    '192.0.2.7',
    '2001:db8:0:0',
  ])
  assert.match((await ctl('ban', 'list')).out, /2001:db8:0:0::\/64 .* by .*: spam/)
  assert.equal((await ctl('ban', 'remove', '2001:db8:0:0::/64')).out, '2001:db8:0:0::/64 may connect again\n')
  const { bans } = JSON.parse((await ctl('ban', 'list', '--json')).out) as { bans: readonly { client: string }[] }
  assert.deepEqual(
    bans.map(({ client }) => client),
    ['192.0.2.7'],
  )
  assert.equal((await ctl('ban', 'remove', '192.0.2.8')).code, 1)
  assert.equal((await ctl('ban', 'add', 'example.org')).code, 2)
  assert.equal((await ctl('ban', 'add', '192.0.2.8', '--for', 'ever')).code, 2)
})

test('show queue says of a queue that is behind what would help', { skip }, async (t) => {
  const { ctl, accept, context, redis } = await openBench(t)
  const id = await accept()
  const [job] = await context.queues.jobsOf(id)
  assert.doesNotMatch((await ctl('show', 'queue')).out, /behind/)
  const client = await connectOnce(redis.address, 'test', 30_000)
  await client.hset(`sluice:${job?.queue}:${job?.jobId}`, 'timestamp', 1)
  client.disconnect()
  assert.match((await ctl('show', 'queue')).out, /Queue filter is behind its target\. .*No living process works it off/)
  const now = Date.now()
  const meter = new RateMeter(() => now)
  const work = { queue: 'filter', handlers: 4, busy: 4, done: meter.figures() }
  const service = { service: 'filter', listens: [], lastJobAt: () => now, troubles: async () => [], work: () => work }
  const beats = await startHeartbeats(context.dataFolder, [service], () => now)
  t.after(() => beats.stop())
  const { out } = await ctl('show', 'queue')
  assert.match(out, /4 of 4 workers are busy/)
  assert.match(JSON.stringify(JSON.parse((await ctl('show', 'queue', '--json')).out)), /"advice":\[\{"queue":"filter"/)
})

test('a limit is set and lifted, and told with who set it', { skip }, async (t) => {
  const { ctl } = await openBench(t)
  assert.equal((await ctl('limit', 'relay', '50/s', '--concurrency', '4')).out, 'queue relay: 50/s, 4 at a time\n')
  assert.match((await ctl('show', 'queue')).out, /relay .* at most 50\/s, 4 at a time \(.+ \(sluicectl\)\)/)
  assert.equal((await ctl('limit', 'relay', 'off')).out, 'queue relay: no limit\n')
  assert.doesNotMatch((await ctl('show', 'queue')).out, /at most/)
  assert.match((await ctl('limit', 'relay', 'slow')).errors, /"slow" is not a rate: write 50\/s/)
  assert.match((await ctl('limit', 'nowhere', '1/s')).errors, /there is no queue 'nowhere'/)
})

test('pause and resume stop and start a queue', { skip }, async (t) => {
  const { ctl } = await openBench(t)
  const paused = async (): Promise<boolean | undefined> =>
    (JSON.parse((await ctl('show', 'queue', '--json')).out) as { queues: QueueView[] }).queues.find(
      (queue) => queue.name === 'relay',
    )?.paused
  assert.equal((await ctl('pause', 'relay')).out, 'queue relay is paused\n')
  assert.equal(await paused(), true)
  await ctl('resume', 'relay')
  assert.equal(await paused(), false)
  assert.equal((await ctl('pause', 'nowhere')).code, 2)
})

test('rebuild gives the messages of an emptied Redis their jobs again', { skip }, async (t) => {
  const { ctl, accept, context, redis } = await openBench(t)
  const id = await accept()
  for (const { queue, jobId } of await context.queues.jobsOf(id)) await context.queues.remove(queue, jobId)
  assert.ok(redis.pid > 0)
  assert.deepEqual(JSON.parse((await ctl('rebuild', '--json')).out), { live: 1, requeued: 1, failed: 0 })
  assert.deepEqual(
    (await context.queues.jobsOf(id)).map((job) => job.queue),
    ['filter'],
  )
})

test('spool list and cat show what is on disk', { skip }, async (t) => {
  const { ctl, accept } = await openBench(t)
  const id = await accept()
  assert.match((await ctl('spool', 'list')).out, new RegExp(`^${id} .*\\n1 message not settled\\n$`, 'ms'))
  const received = 'Received: from mx.example.net by mx.example.org; now\r\n'
  const content = 'Subject: hello\r\nFrom: joe@example.net\r\n\r\nHello Jane.\r\n'
  assert.equal((await ctl('spool', 'cat', id)).out, received + content)
  assert.equal((await ctl('spool', 'cat', id, '--raw')).out, content)
  assert.equal((await ctl('spool', 'cat', newMessageId(Date.now()))).code, 1)
})

test('trouble is one line and an exit code', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-ctl-'))
  t.after(() => rm(folder, { recursive: true }))
  const conf = join(folder, 'smtpd.conf')
  await writeFile(conf, 'listen on nowhere port x\n')
  const table: readonly (readonly [readonly string[], NodeJS.ProcessEnv, number, RegExp])[] = [
    [['fly'], {}, 2, /^sluicectl: unknown command 'fly'/],
    [['show', 'message', 'x'], {}, 2, /^sluicectl: 'x' is not a message id/],
    [['show', 'queue'], { SLUICE_DATA: join(folder, 'none') }, 1, /^sluicectl: there is no Sluice in /],
    [['check', conf], { SLUICE_DATA: folder }, 78, /smtpd\.conf:1:/],
    [['send', '--to', 'a@b', '--port', 'x'], {}, 2, /^sluicectl: --port x/],
    [['send'], {}, 2, /^sluicectl: --to is missing/],
    [['send', '--to', 'a@b', '--user', 'jane'], {}, 2, /needs --password-file/],
  ]
  for (const [args, environment, code, message] of table) {
    const printed = await runPrinting(args, environment)
    assert.equal(printed.code, code, args.join(' '))
    assert.match(printed.errors, message)
    assert.equal(printed.out, '')
  }
})

test('encrypt hashes what it is given or asks', async () => {
  assert.match((await runPrinting(['token', 'ci', '--scope', 'read,queues'], {})).out, /ci read,queues:[0-9a-f]{64}\n$/)
  assert.equal((await runPrinting(['token', 'ci', '--scope', 'everything'], {})).code, 2)
  assert.match((await runPrinting(['encrypt', 'secret'], {})).out, /^\$6\$/)
  assert.match((await runPrinting(['encrypt', '--bcrypt'], {})).out, /^\$2[aby]\$/)
})

test('send prints the reply and the id of the 250', async (t) => {
  const id = newMessageId(Date.now())
  const server = createServer((socket) => {
    let inData = false
    socket.write('220 mx ESMTP\r\n')
    socket.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString('latin1').split('\r\n').filter(Boolean)) {
        if (inData && line !== '.') continue
        if (inData) socket.write(`250 2.0.0 ${id}\r\n`)
        else socket.write(line === 'DATA' ? '354 go on\r\n' : '250 ok\r\n')
        inData = line === 'DATA'
      }
    })
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const printed = await runPrinting(['send', '--to', 'jane@localhost', '--port', String(port)], {})
  assert.equal(printed.errors, '')
  assert.equal(printed.out, `250 2.0.0 ${id}\nsluicectl show message ${id}\n`)
})

/** Runs a stage that passes what it is asked about until a message is at its end. */
async function untilEnded(context: ServiceContext, read: () => Promise<MessageView>): Promise<readonly string[]> {
  const asked: string[] = []
  const stage = await defineStage({
    name: 'filter',
    handle: async ({ envelope }) => {
      asked.push(envelope.id)
      return hold('seen')
    },
  }).start(context)
  while ((await read()).recipients.some(({ state }) => state !== 'failed')) await nextTurn()
  await stage.close()
  return asked
}

test(
  'expire returns a message, a held one too, to its sender with a report, and tells its story',
  { skip },
  async (t) => {
    const { ctl, accept, context } = await openBench(t)
    for (const isHeld of [false, true]) {
      const id = await accept(['jane@localhost', 'jack@localhost'])
      const read = async (): Promise<MessageView> =>
        JSON.parse((await ctl('show', 'message', id, '--json')).out) as MessageView
      if (isHeld) assert.equal((await ctl('hold', id)).code, 0)
      assert.equal((await ctl('expire', id)).out, `message ${id} is returned to its sender for 2 recipients\n`)
      const asked = await untilEnded(context, read)
      assert.ok(!asked.includes(id))
      let view = await read()
      // The journal is written in the background.
      while (!view.story.some(({ event }) => event === 'reported')) view = await read()
      const text = (await ctl('show', 'message', id)).out
      assert.match(text, /returned to its sender by \S+ \(sluicectl\)/)
      assert.match(text, /report \(failed\) about .* sent to joe@example\.net/)
      assert.match(text, /5\.4\.7 Returned by the operator/)
      assert.match((await ctl('expire', id)).errors, /is in no queue/)
    }
  },
)

test('what a filter keeps back is not returned to a sender it only claims to have', { skip }, async (t) => {
  const { ctl, accept, context } = await openBench(t)
  const id = await accept()
  await quarantineOnce(context)
  assert.match((await ctl('expire', id)).errors, /a filter keeps message .* back/)
  assert.equal((await ctl('expire', '--destination', 'localhost')).out, '0 jobs returned to the sender\n')
  assert.equal((await ctl('release', '--destination', 'localhost')).out, '0 jobs released\n')
  assert.equal((await ctl('release', id)).code, 0)
})

test('a destination or a tag selects the jobs that are held, released and returned', { skip }, async (t) => {
  const { ctl, accept } = await openBench(t)
  const [here, there] = [await accept(['jane@localhost']), await accept(['ann@mx.example.org'])]
  const held = async (): Promise<readonly string[]> => {
    const { held: jobs } = JSON.parse((await ctl('show', 'held', '--json')).out) as { held: JobView[] }
    return jobs.map(({ id }) => id)
  }
  assert.equal((await ctl('hold', '--destination', 'MX.example.org')).out, '1 job held\n')
  assert.deepEqual(await held(), [there])
  assert.equal((await ctl('hold', '--tag', 'Nothing')).out, '0 jobs held\n')
  assert.equal((await ctl('hold', '--destination', 'localhost')).out, '1 job held\n')
  assert.deepEqual((await held()).toSorted(), [here, there].toSorted())
  assert.equal((await ctl('release', '--destination', 'mx.example.org')).out, '1 job released\n')
  assert.deepEqual(await held(), [here])
  assert.equal((await ctl('expire', '--destination', 'mx.example.org')).out, '1 job returned to the sender\n')
  assert.equal(
    (await ctl('remove', '--destination', 'localhost', '--dry-run')).out,
    '1 job of 1 message; nothing is changed\n',
  )
  assert.equal((await ctl('remove', '--destination', 'localhost')).out, '1 job removed\n')
  assert.match((await ctl('show', 'message', here)).out, /jane@localhost\s+removed/)
  assert.deepEqual(await held(), [])
  for (const words of [[], [here, '--tag', 'x'], ['--tag', 'x', '--destination', 'y']])
    assert.equal((await ctl('hold', ...words)).code, 2, words.join(' '))
})
