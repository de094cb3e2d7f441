import { deadAfterMs, notesOf, readHeartbeats, withoutReplaced } from '../../shared/heartbeat.ts'
import type { Heartbeat } from '../../shared/heartbeat.ts'
import { formatDuration } from '../../shared/report/units.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { dataFolderOf } from './connect.ts'
import { textTable } from './text-table.ts'

export const showStatus: Command = {
  words: ['show', 'status'],
  operands: [],
  summary: 'the services, the configuration they run by, and their troubles; exit code 1 when there are any',
  run: show,
}

async function show(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const nowAt = Date.now()
  const all = await readHeartbeats(dataFolderOf(invocation), nowAt)
  const beats = withoutReplaced(all, nowAt).toSorted((one, other) => one.service.localeCompare(other.service))
  const troubles = beats.flatMap((beat) => troublesOf(beat, nowAt).map((text) => `${beat.service}: ${text}`))
  const faults = [...new Set(beats.flatMap(({ configuration }) => configuration?.fault ?? []))]
  if (options.has('json')) terminal.print(JSON.stringify({ services: beats, troubles, faults }, undefined, 2))
  else {
    const rows = beats.map((beat) => [
      beat.service,
      troublesOf(beat, nowAt).length === 0 ? 'working' : 'trouble',
      beat.configuration?.revision ?? '-',
      `${beat.pid} on ${beat.host}`,
      `up ${formatDuration(Math.max(0, nowAt - beat.startedAt))}`,
      beat.listens.join(' '),
    ])
    for (const line of textTable([{}, {}, {}, {}, {}, {}], rows)) terminal.print(line)
    if (beats.length === 0) terminal.warn('no service runs')
    for (const text of troubles) terminal.warn(text)
    for (const text of notesOf(beats, nowAt)) terminal.warn(text)
    for (const text of new Set(beats.flatMap(({ configuration }) => configuration?.waiting ?? []))) terminal.warn(text)
    for (const fault of faults)
      terminal.warn(terminal.paint('red', `the configuration on disk is not in force:\n${fault}`))
  }
  return beats.length > 0 && troubles.length + faults.length === 0 ? exitCodes.done : exitCodes.failed
}

function troublesOf({ at, troubles }: Heartbeat, nowAt: number): readonly string[] {
  return nowAt - at > deadAfterMs ? [`silent for ${formatDuration(nowAt - at)}`] : troubles
}
