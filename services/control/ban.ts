import { isIP } from 'node:net'

import { clientOf } from '../../shared/client-of.ts'
import { parseDuration } from '../../shared/config/quantity.ts'
import type { Ban } from '../../shared/queue/queues.ts'
import { formatDuration, formatSecond } from '../../shared/report/units.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { operatorName, withQueues } from './connect.ts'
import { visible } from './terminal.ts'
import { textTable } from './text-table.ts'

export const banList: Command = {
  words: ['ban', 'list'],
  operands: [],
  summary: 'clients that may not connect, until when and why',
  run: list,
}

export const banAdd: Command = {
  words: ['ban', 'add'],
  operands: [{ name: 'ADDRESS', required: true }],
  options: [
    { name: 'for', value: 'TIME', summary: '30m, 2h, 7d (1h)' },
    { name: 'reason', value: 'TEXT', summary: 'shown by "ban list"' },
  ],
  summary: 'let a client in no more for a while: an IPv4 address, or the /64 of an IPv6 address',
  run: add,
}

export const banRemove: Command = {
  words: ['ban', 'remove'],
  operands: [{ name: 'ADDRESS', required: true }],
  summary: 'let a banned client in again',
  run: remove,
}

const defaultBanMs = 3_600_000

function list({ terminal, options, ...invocation }: Invocation): Promise<number> {
  return withQueues({ terminal, options, ...invocation }, async ({ bans }) => {
    const nowAt = Date.now()
    const all = (await bans.list(nowAt)).toSorted((one, other) => one.until - other.until)
    if (options.has('json')) {
      terminal.print(JSON.stringify({ bans: all.map((ban) => ({ ...ban, client: shown(ban.client) })) }, undefined, 2))
    } else if (all.length === 0) terminal.print('Nobody is banned.')
    else for (const line of banTable(all, nowAt)) terminal.print(line)
    return exitCodes.done
  })
}

function banTable(bans: readonly Ban[], nowAt: number): readonly string[] {
  return textTable(
    [{ title: 'client' }, { title: 'since' }, { title: 'left', align: 'right' }, { title: 'reason' }],
    bans.map(({ client, since, until, reason }) => [
      shown(client),
      formatSecond(since),
      formatDuration(until - nowAt),
      visible(reason),
    ]),
  )
}

function add(invocation: Invocation): Promise<number> {
  const client = clientOperand(invocation)
  const { terminal, options } = invocation
  const time = options.text('for')
  const durationMs = time === undefined ? defaultBanMs : parseDuration(time)
  if (durationMs === undefined) throw new UsageError(`'${time}' is not a time: 30m, 2h, 7d`)
  const why = options.text('reason')
  return withQueues(invocation, async ({ bans }) => {
    const since = Date.now()
    const reason = `by ${operatorName()}${why === undefined ? '' : `: ${why}`}`
    await bans.add({ client, since, until: since + durationMs, reason })
    terminal.print(
      options.has('json')
        ? JSON.stringify({ client: shown(client), until: since + durationMs })
        : `${shown(client)} is banned for ${formatDuration(durationMs)}`,
    )
    return exitCodes.done
  })
}

function remove(invocation: Invocation): Promise<number> {
  const client = clientOperand(invocation)
  const { terminal, options } = invocation
  return withQueues(invocation, async ({ bans }) => {
    if (!(await bans.remove(client))) throw new ControlError(`${shown(client)} is not banned`)
    terminal.print(
      options.has('json') ? JSON.stringify({ client: shown(client) }) : `${shown(client)} may connect again`,
    )
    return exitCodes.done
  })
}

/** An address, or a /64 as `ban list` shows it. */
function clientOperand({ operands }: Invocation): string {
  const text = (operands[0] ?? '').replace(/\/64$/, '')
  if (isIP(text) === 0) throw new UsageError(`'${operands[0] ?? ''}' is not an address`)
  return clientOf(text.toLowerCase())
}

function shown(client: string): string {
  return client.includes(':') ? `${client}::/64` : client
}
