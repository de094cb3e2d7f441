import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { openAudit } from '../../shared/audit.ts'
import type { AuditEntry } from '../../shared/audit.ts'
import { systemClock } from '../../shared/clock.ts'
import { silentLog } from '../../shared/log.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { dataFolderOf, operatorName } from './connect.ts'
import { workAsOwner } from './data-owner.ts'

/** Commands that change something, by their words: what they did or tried is in the audit log, as what the dashboard does. */
export const keptCommands: ReadonlySet<string> = new Set([
  'schedule',
  'hold',
  'release',
  'remove',
  'expire',
  'reroute',
  'readdress',
  'replay',
  'pause',
  'resume',
  'write-off',
  'rebuild',
  'ban add',
  'ban remove',
  'block add',
  'block remove',
  'certificate put',
  'operator add',
  'operator password',
  'operator remove',
  'mailbox add',
  'mailbox password',
  'mailbox remove',
  'dkim generate',
  'dkim rotate',
  'dkim retire',
])

/** Runs a command, and keeps who did what where a Sluice was started. What was not understood, or would only have been done, is not kept. */
export async function runKept(command: Command, invocation: Invocation): Promise<number> {
  const { options } = invocation
  const name = command.words.join(' ')
  // A run over what a search finds keeps its beginning and its end itself.
  if (!keptCommands.has(name) || options.has('dry-run') || options.has('search')) return command.run(invocation)
  const keep = (outcome: AuditEntry['outcome'], detail?: string): Promise<void> =>
    record(invocation, { action: name, about: aboutOf(command, invocation), outcome, ...(detail && { detail }) })
  try {
    const code = await command.run(invocation)
    await keep(code === exitCodes.done ? 'done' : 'refused')
    return code
  } catch (error) {
    if (!(error instanceof UsageError)) await keep('refused', (error as Error).message)
    throw error
  }
}

/** `0mi8v2c4bm00000001 --recipient jane@example.org` */
function aboutOf({ options = [] }: Command, given: Invocation): string {
  const chosen = options.flatMap(({ name, value }) => {
    if (!given.options.has(name)) return []
    return value === undefined ? [`--${name}`] : given.options.texts(name).map((text) => `--${name} ${text}`)
  })
  return [...given.operands, ...chosen].join(' ')
}

async function record(
  invocation: Invocation,
  { about, ...entry }: Pick<AuditEntry, 'action' | 'outcome' | 'detail'> & { readonly about: string },
): Promise<void> {
  const dataFolder = dataFolderOf(invocation)
  if (!existsSync(join(dataFolder, 'events'))) return
  workAsOwner(dataFolder)
  try {
    const audit = await openAudit(dataFolder, { log: silentLog(), clock: systemClock })
    audit.record({ by: operatorName(), from: 'this host', ...entry, ...(about !== '' && { about }) })
    await audit.close()
  } catch (error) {
    invocation.terminal.warn(`sluicectl: it is not in the audit log: ${(error as Error).message}`)
  }
}
