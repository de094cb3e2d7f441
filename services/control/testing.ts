import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import type { Configuration } from '../../shared/config/model.ts'
import { parseMailbox } from '../../shared/mail/address.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { quarantine } from '../../shared/mail/disposition.ts'
import type { Quarantine } from '../../shared/mail/disposition.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { defineStage } from '../../shared/pipeline/stage.ts'
import type { HandleMessage } from '../../shared/pipeline/stage.ts'
import type { StageJob } from '../../shared/queue/job.ts'
import type { JobResult } from '../../shared/queue/queues.ts'
import type { TestRedis } from '../../shared/queue/testing.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { openTestSystem, queued } from '../../shared/testing-system.ts'
import { runControl } from './run.ts'
import type { Terminal } from './terminal.ts'

export interface Printed {
  readonly code: number
  readonly out: string
  readonly errors: string
}

export interface Bench {
  readonly smtpdConf: string
  readonly redis: TestRedis
  readonly context: ServiceContext
  ctl(...args: readonly string[]): Promise<Printed>
  /** The same before a terminal, whose user answers like that; what he was asked is added to the list. */
  answering(yes: boolean, asked: string[], ...args: readonly string[]): Promise<Printed>
  /** Accepts a message; resolves when its job is in its first queue. */
  accept(to?: readonly string[]): Promise<MessageId>
}

/** Runs `sluicectl`, and keeps what it prints. */
export async function runPrinting(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  confirm?: Terminal['confirm'],
): Promise<Printed> {
  const out: string[] = []
  const errors: string[] = []
  const terminal: Terminal = {
    print: (line) => void out.push(`${line}\n`),
    warn: (line) => void errors.push(`${line}\n`),
    write: async (bytes) => void out.push(bytes.toString('latin1')),
    paint: (_colour, text) => text,
    askSecret: async () => 'asked',
    isWatched: confirm !== undefined,
    confirm: confirm ?? (async () => assert.fail('nobody sits there')),
  }
  const code = await runControl(args, { terminal, environment })
  return { code, out: out.join(''), errors: errors.join('') }
}

/** The same without the last line ends. */
export async function runTrimmed(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<Printed> {
  const { code, out, errors } = await runPrinting(args, environment)
  return { code, out: out.trimEnd(), errors: errors.trimEnd() }
}

/**
 * @param rules in place of those that filter what is for this host, and deliver it
 * @param change of what smtpd.conf says, for the system; not for `ctl`
 */
export async function openBench(
  t: TestContext,
  rules?: readonly string[],
  change: (read: Configuration) => Configuration = (read) => read,
): Promise<Bench> {
  const { redis, context, dataFolder, smtpdConf, close } = await openTestSystem({ rules, change })
  t.after(close)
  const environment = {
    SMTPD_CONF: smtpdConf,
    SLUICE_DATA: dataFolder,
    REDIS_URL: redis.url,
    SMTPD_HOSTNAME: 'mx.example.org',
  }
  return {
    smtpdConf,
    redis,
    context,
    ctl: (...args) => runPrinting(args, environment),
    answering: (yes, asked, ...args) =>
      runPrinting(args, environment, async (question) => {
        asked.push(question)
        return yes
      }),
    async accept(to = ['jane@localhost']) {
      const id = newMessageId(Date.now())
      const from = mailboxOf('joe@example.net')
      const mailboxes = to.map(mailboxOf)
      const content = Buffer.from('Subject: hello\r\nFrom: joe@example.net\r\n\r\nHello Jane.\r\n')
      const origin = { kind: 'smtp', address: '192.0.2.1', listener: '127.0.0.1:2525', helo: 'mx.example.net' } as const
      const envelope = {
        id,
        reversePath: from,
        recipients: mailboxes.map((mailbox) => ({ mailbox })),
        tags: [],
        origin,
        receivedAt: Date.now(),
      }
      const received = 'Received: from mx.example.net by mx.example.org; now\r\n'
      await context.pipeline.submit(envelope, content, [{ kind: 'prepend', fields: received }])
      context.events.received({ id, from, to: mailboxes, sizeBytes: content.length })
      await queued(context, id)
      return id
    },
  }
}

function mailboxOf(text: string): Mailbox {
  const mailbox = parseMailbox(text)
  if (mailbox === undefined) throw new TypeError(text)
  return mailbox
}

/** Runs the queue `filter` until one job is done as `result` says. */
export async function workOnce(context: ServiceContext, result: (data: StageJob) => JobResult): Promise<void> {
  await new Promise<void>((resolve) => {
    const worker = context.queues.work('filter', {
      concurrency: 1,
      handler: async (data) => {
        setImmediate(() => void worker.close().then(resolve))
        return result(data)
      },
    })
  })
}

/** Lets the queue `filter` keep messages back as a filter does, until one is. */
export async function quarantineOnce(context: ServiceContext, kind: Quarantine = 'virus'): Promise<void> {
  await stageOnce(context, async () => quarantine(kind, `${kind}: Test-Signature`))
}

/** Runs a stage on a queue, `filter` unless told otherwise, until it was asked about one message. */
export async function stageOnce(context: ServiceContext, handle: HandleMessage, name = 'filter'): Promise<void> {
  await new Promise<void>((resolve, refuse) => {
    const stage = defineStage({
      name,
      handle: async (message, stageContext) => {
        setImmediate(() => void running.then((one) => one.close()).then(resolve, refuse))
        return handle(message, stageContext)
      },
    })
    const running = stage.start(context)
  })
}
