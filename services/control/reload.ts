import { setTimeout as sleep } from 'node:timers/promises'

import { deadAfterMs, readHeartbeats } from '../../shared/heartbeat.ts'
import type { Heartbeat } from '../../shared/heartbeat.ts'
import { requestReload } from '../../shared/start/reload-request.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { dataFolderOf } from './connect.ts'
import { textTable } from './text-table.ts'

export const reload: Command = {
  words: ['reload'],
  operands: [],
  summary: 'read the configuration again in every process; exit code 78 when it is refused and the one before stays',
  run: reloadAll,
}

const limitMs = 20_000
const lookMs = 100

/** What a process did. */
interface Answer {
  readonly process: string
  readonly services: readonly string[]
  readonly outcome: 'in force' | 'refused' | 'no answer'
  readonly revision: string
  readonly fault?: string
  readonly warnings: readonly string[]
}

async function reloadAll(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const dataFolder = dataFolderOf(invocation)
  const before = await living(dataFolder)
  if (before.length === 0) throw new ControlError(`no process of Sluice runs on ${dataFolder}`)
  const request = await requestReload(dataFolder)
  const answers = await untilAnswered(dataFolder, new Set(before.map(processOf)), request)
  if (options.has('json')) terminal.print(JSON.stringify({ processes: answers }, undefined, 2))
  else {
    const rows = answers.map((one) => [one.process, one.outcome, one.revision, one.services.join(' ')])
    for (const line of textTable([{}, {}, {}, {}], rows)) terminal.print(line)
    for (const text of distinct(answers.flatMap(({ warnings }) => warnings))) terminal.warn(text)
    for (const text of distinct(answers.flatMap(({ fault }) => fault ?? []))) terminal.warn(text)
  }
  if (answers.some(({ outcome }) => outcome === 'refused')) return exitCodes.configuration
  return answers.every(({ outcome }) => outcome === 'in force') ? exitCodes.done : exitCodes.failed
}

/** A process that ends meanwhile is left out: it reads the files when it starts. */
async function untilAnswered(
  dataFolder: string,
  asked: ReadonlySet<string>,
  request: string,
): Promise<readonly Answer[]> {
  const until = Date.now() + limitMs
  for (;;) {
    const beats = (await living(dataFolder)).filter((beat) => asked.has(processOf(beat)))
    const waiting = beats.some(({ configuration }) => configuration?.request !== request)
    if (!waiting || Date.now() > until) return answersOf(beats, request)
    await sleep(lookMs)
  }
}

function answersOf(beats: readonly Heartbeat[], request: string): readonly Answer[] {
  const found = new Map<string, Answer>()
  for (const beat of beats.toSorted((one, other) => one.service.localeCompare(other.service))) {
    const process = processOf(beat)
    const { configuration } = beat
    const answered = configuration?.request === request
    const refused = configuration?.fault === undefined ? 'in force' : 'refused'
    found.set(process, {
      process,
      services: [...(found.get(process)?.services ?? []), beat.service],
      outcome: answered ? refused : 'no answer',
      revision: configuration?.revision ?? '-',
      ...(answered && configuration.fault !== undefined ? { fault: configuration.fault } : {}),
      warnings: answered ? (configuration.warnings ?? []) : [],
    })
  }
  return [...found.values()]
}

async function living(dataFolder: string): Promise<readonly Heartbeat[]> {
  const nowAt = Date.now()
  return (await readHeartbeats(dataFolder, nowAt)).filter(({ at }) => nowAt - at <= deadAfterMs)
}

function processOf({ pid, host }: Heartbeat): string {
  return `${pid} on ${host}`
}

function distinct(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)]
}
