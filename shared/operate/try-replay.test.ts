import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Mailbox } from '../mail/address.ts'
import { hold, pass, settled } from '../mail/disposition.ts'
import type { Disposition } from '../mail/disposition.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { tag } from '../mail/tag.ts'
import { defineStage } from '../pipeline/stage.ts'
import type { StageContext, StageMessage } from '../pipeline/stage.ts'
import { redisMissing } from '../queue/testing.ts'
import { storyOf } from '../journal.ts'
import type { ServiceContext } from '../service.ts'
import { findMessage } from '../spool/list-messages.ts'
import { openTestSystem, queued } from '../testing-system.ts'
import { tryReplay } from './try-replay.ts'
import type { TrialRequest } from './try-replay.ts'

const skip = await redisMissing()
const rules = [
  'action "out" relay',
  'match tag Filtered from local for any action "out"',
  'match from any for any action "scan"',
]
const filtered = pass(tag('Filtered'), [{ kind: 'prepend', fields: 'X-Seen: yes\r\n' }])

interface Stage {
  readonly queue: string
  readonly dry?: true
  decide(message: StageMessage, context: StageContext): Disposition
}

async function accept(context: ServiceContext): Promise<MessageId> {
  const id = newMessageId(Date.now())
  const recipients = [{ mailbox: 'joe@far.test' as Mailbox }]
  const envelope = {
    id,
    reversePath: null,
    recipients,
    tags: [],
    origin: { kind: 'smtp' },
    receivedAt: Date.now(),
  } as const
  await context.pipeline.submit(envelope, Buffer.from('Subject: hello\r\n\r\nHello.\r\n'))
  await queued(context, id)
  return id
}

test('a dry replay asks the stages, sends nothing, and shows what is decided beside what was', { skip }, async (t) => {
  const { context, dataFolder, close } = await openTestSystem({ rules })
  t.after(close)
  const asked: string[] = []
  let decision: Disposition = filtered
  const stages: readonly Stage[] = [
    {
      queue: 'filter',
      dry: true,
      decide({ envelope: { id }, dry, edits }, { events }) {
        asked.push(`filter ${dry === true ? 'dry' : 'in earnest'} ${edits.length}`)
        const verdict = decision.kind === 'hold' ? 'quarantine' : 'clean'
        events.filtered({ id, verdict, score: asked.length, symbols: ['WORDS 1'] })
        return decision
      },
    },
    {
      queue: 'relay',
      decide({ pending }) {
        asked.push('relay')
        const reply = { code: 250, enhanced: '2.0.0', text: 'Ok' }
        return settled(pending.map((recipient) => ({ recipient, reply, reached: 'remote', remoteMta: 'mx.far.test' })))
      },
    },
  ]
  const id = await accept(context)
  for (const { queue, dry, decide } of stages) {
    const handle = async (message: StageMessage, own: StageContext): Promise<Disposition> => decide(message, own)
    const stage = await defineStage({ name: queue, handle, ...(dry && { dry }) }).start(context)
    t.after(() => stage.close())
  }
  const story = (): ReturnType<typeof storyOf> => storyOf(`${dataFolder}/events`, id)
  while (!(await story()).some(({ event }) => event === 'relayed'));
  assert.deepEqual(asked.splice(0), ['filter in earnest 0', 'relay'])

  const attempt = (request: TrialRequest = {}, worked = true) =>
    tryReplay(
      {
        ...context,
        messages: {
          find: (one) => findMessage(context.spool.volume, one),
          outcomesOf: async (one) => (await context.spool.outcomesOf([one])).get(one) ?? [],
          story,
        },
        isWorked: async () => worked,
      },
      id,
      request,
    )
  const brief = (text: string): string => text.replaceAll(`${dataFolder}/smtpd.conf`, 'FILE')
  const before = await story()
  const same = await attempt()
  assert.deepEqual(asked.splice(0), ['filter dry 0'])
  assert.deepEqual(
    same.map(({ queue, now, before: was = '', differs }) => [queue, brief(now), brief(was), differs]),
    [
      [undefined, 'rule FILE:6: queue filter', 'rule FILE:6: queue filter', false],
      ['filter', 'pass, tag Filtered; clean, score 1 (WORDS 1)', 'pass, tag Filtered; clean, score 1 (WORDS 1)', false],
      [undefined, 'rule FILE:5: queue relay, action out', 'rule FILE:5: queue relay, action out', false],
      ['relay', 'relay to far.test, action out: nothing is sent', 'relayed by mx.far.test: 250 2.0.0 Ok', false],
    ],
  )
  decision = hold('too odd')
  const other = await attempt({ from: 'filter' })
  assert.deepEqual(
    other.map(({ now, differs }) => [now, differs]),
    [['hold: too odd; quarantine, score 1 (WORDS 1)', true]],
  )
  assert.deepEqual(
    (await attempt({ from: 'relay' })).map(({ now }) => now),
    ['relay to far.test, action out: nothing is sent'],
  )
  assert.match((await attempt({}, false))[1]?.now ?? '', /not asked: no service works on the queue filter/)
  assert.deepEqual(await story(), before)
})
