import type { WebhookSetting } from '../../shared/config/model.ts'
import { formatDuration, formatSecond, plural } from '../../shared/report/units.ts'
import { createResolver } from '../../shared/resolver.ts'
import { postTest } from '../../shared/webhooks/post-events.ts'
import { countWaiting, mostWaiting } from '../../shared/webhooks/read-events.ts'
import { readState, webhookName, webhooksFolder } from '../../shared/webhooks/webhook-state.ts'
import type { WebhookFailure } from '../../shared/webhooks/webhook-state.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { findPlace, loadPlace } from './connect.ts'
import type { Place } from './connect.ts'
import { visible } from './terminal.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export const webhookList: Command = {
  words: ['webhook', 'list'],
  operands: [],
  summary:
    'who is told of events, what waits for them and why; exit code 1 when one does not take them; needs no Redis',
  run: list,
}

export const webhookTest: Command = {
  words: ['webhook', 'test'],
  operands: [{ name: 'URL', required: true }],
  summary: 'post one signed event "test" to a webhook of pipeline.conf, now; exit code 1 when it is not taken',
  run: test,
}

interface WebhookView {
  readonly url: string
  /** In log and health. */
  readonly name: string
  readonly events: readonly string[]
  /** Absent: the ledger has not begun with it. */
  readonly sent?: number
  readonly dropped?: number
  readonly sentAt?: number
  /** At most 10,000 are counted. */
  readonly waiting?: number
  readonly failure?: WebhookFailure
}

async function list(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const place = await findPlace(invocation)
  const { webhooks } = place.configuration.pipeline
  const views = await Promise.all(webhooks.map((setting) => viewOf(place, setting)))
  if (options.has('json')) terminal.print(JSON.stringify({ webhooks: views }, undefined, 2))
  else if (views.length === 0) terminal.print('There is no webhook in pipeline.conf.')
  else for (const line of listText(views, terminal)) terminal.print(line)
  return views.some(({ failure }) => failure !== undefined) ? exitCodes.failed : exitCodes.done
}

async function viewOf({ dataFolder, eventsFolder }: Place, setting: WebhookSetting): Promise<WebhookView> {
  const { url, events } = setting
  const name = webhookName(url)
  const state = await readState(webhooksFolder(dataFolder), name)
  if (state === undefined) return { url, name, events }
  const { positions, ...rest } = state
  return { url, name, events, ...rest, waiting: countWaiting({ folder: eventsFolder, positions, events }) }
}

function listText(views: readonly WebhookView[], terminal: Terminal): readonly string[] {
  const columns = [
    { title: 'webhook' },
    { title: 'state' },
    { title: 'waiting', align: 'right' as const },
    { title: 'sent', align: 'right' as const },
    { title: 'dropped', align: 'right' as const },
    { title: 'last taken' },
  ]
  const rows = views.map(({ url, failure, waiting, sent, dropped, sentAt }) => [
    visible(url),
    failure !== undefined ? terminal.paint('red', 'fails') : sent === undefined ? 'not begun' : 'works',
    waiting === undefined ? '-' : waiting < mostWaiting ? String(waiting) : `${mostWaiting}+`,
    String(sent ?? 0),
    String(dropped ?? 0),
    sentAt === undefined ? 'never' : formatSecond(sentAt),
  ])
  return [...textTable(columns, rows), ...views.flatMap(failureText)]
}

function failureText({ url, failure }: WebhookView): readonly string[] {
  if (failure === undefined) return []
  const { attempts, since, reason, nextAt } = failure
  const leftMs = Math.max(0, nextAt - Date.now())
  const again = `again in ${formatDuration(leftMs)}`
  return [
    '',
    visible(url),
    `  ${plural(attempts, 'attempt')} since ${formatSecond(since)}, ${again}: ${visible(reason)}`,
  ]
}

async function test(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const { configuration } = await loadPlace(invocation)
  const { webhooks, resolvers, tlsCa } = configuration.pipeline
  const setting = webhookOf(webhooks, operands[0] ?? '')
  const resolver = createResolver({ servers: resolvers })
  const nowAt = Date.now()
  const { signal } = new AbortController()
  let eventId: string
  try {
    eventId = await postTest(setting, configuration.hostname, { resolver, signal, tlsCa, nowAt })
  } catch (error) {
    throw new ControlError(`it was not taken: ${(error as Error).message}`, exitCodes.failed, { cause: error })
  } finally {
    resolver.close()
  }
  const tookMs = Date.now() - nowAt
  if (options.has('json')) terminal.print(JSON.stringify({ url: setting.url, eventId, tookMs }))
  else terminal.print(`${setting.url} took it in ${formatDuration(tookMs)}`)
  return exitCodes.done
}

function webhookOf(webhooks: readonly WebhookSetting[], text: string): WebhookSetting {
  const url = URL.canParse(text) ? new URL(text).href : text
  const found = webhooks.find((one) => one.url === url)
  if (found !== undefined) return found
  const known = webhooks.map((one) => one.url).join(', ')
  throw new ControlError(
    known === ''
      ? 'there is no webhook in pipeline.conf'
      : `there is no webhook for "${text}" in pipeline.conf; there are: ${known}`,
  )
}
