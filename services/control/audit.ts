import { setTimeout as sleep } from 'node:timers/promises'

import { settledOrLost } from '../../shared/pipeline/audit.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { formatSecond, formatSize, plural } from '../../shared/report/units.ts'
import { LiveIndex } from '../../shared/spool/live-index.ts'
import type { FinalKind } from '../../shared/spool/spool.ts'
import type { StoreReader } from '../../shared/store/store-reader.ts'
import { ControlError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { askStore, findPlace, messageFiles, messageIdOperand, operatorName, withSystem } from './connect.ts'
import type { Place } from './connect.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export const audit: Command = {
  words: ['audit'],
  operands: [],
  summary:
    'what was accepted against what became of it; exit code 1 and the ids when something is missing; needs no Redis',
  run: showAudit,
}

export const writeOff: Command = {
  words: ['write-off'],
  operands: [{ name: 'ID', required: true }],
  summary: 'say that a missing message is lost: it counts as removed from then on',
  run: writeOffMessage,
}

/** In copies: a message to two recipients counts twice. */
interface Sums {
  readonly accepted: number
  readonly delivered: number
  readonly relayed: number
  readonly failed: number
  readonly discarded: number
  readonly removed: number
  readonly held: number
  readonly queued: number
  readonly missing: number
}

interface Audit {
  /** Accepted since then; losses before it are not known. */
  readonly since: number
  readonly sums: Sums
  readonly missing: readonly { readonly id: MessageId; readonly copies: readonly number[] }[]
  /** Octets of the journal that are not counted. */
  readonly behindBytes: number
}

async function showAudit(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const place = await findPlace(invocation)
  let found = await auditOf(place)
  for (let looks = 1; differenceOf(found) !== 0 && looks < mostLooks; looks += 1) {
    await sleep(betweenLooksMs)
    found = await auditOf(place)
  }
  if (options.has('json')) terminal.print(JSON.stringify(found, undefined, 2))
  else for (const line of auditText(found, terminal)) terminal.print(line)
  return found.missing.length === 0 && differenceOf(found) === 0 ? exitCodes.done : exitCodes.failed
}

/** Mail moves while it is counted: a difference that stands is none of that. */
const mostLooks = 6
const betweenLooksMs = 500

/** Copies that were accepted and are nowhere; negative: that are somewhere and were not accepted. */
function differenceOf({ sums: { accepted, ...others } }: Audit): number {
  return accepted - Object.values(others).reduce((sum, count) => sum + count, 0)
}

/** The store first, the spool after it: what ends in between is found in the spool's log. */
function auditOf(place: Place): Promise<Audit> {
  return askStore(place, (store) => auditBy(store, place))
}

async function auditBy(store: StoreReader, place: Place): Promise<Audit> {
  const since = await store.auditedSince()
  if (since === undefined) throw new ControlError('the ledger has not looked yet: is it running (npm start)?')
  const counted = await store.sums(since)
  const behindBytes = await store.behindBytes()
  const index = await openIndex(place)
  const { missing, late } = await unsettled(place, store, index)
  const spool = await countSpool(store, index, since)
  const ended = ends.map((kind) => [kind, counted[kind] + late[kind]] as const)
  const sums = {
    accepted: Object.values(counted).reduce((sum, count) => sum + count, 0) + spool.unknown,
    ...(Object.fromEntries(ended) as Record<FinalKind, number>),
    held: spool.held,
    queued: spool.queued,
    missing: missing.reduce((sum, { copies }) => sum + copies.length, 0),
  }
  return { since, sums, missing, behindBytes }
}

const ends = ['delivered', 'relayed', 'failed', 'discarded', 'removed'] as const satisfies readonly FinalKind[]

/** What is open in the store and not in the spool: ended since, says the spool's log, or missing. */
async function unsettled(
  place: Place,
  store: StoreReader,
  index: LiveIndex,
): Promise<{ readonly missing: Audit['missing']; readonly late: Readonly<Record<FinalKind, number>> }> {
  const { outcomesOf } = messageFiles(place)
  const parts = {
    index,
    store: {
      auditedSince: async () => (await store.auditedSince()) ?? 0,
      openCopies: (question: Parameters<StoreReader['openCopies']>[0]) => store.openCopies(question),
    },
    spool: {
      async outcomesOf(ids: readonly MessageId[]) {
        return new Map(await Promise.all(ids.map(async (id) => [id, await outcomesOf(id)] as const)))
      },
    },
  }
  const missing: { readonly id: MessageId; readonly copies: readonly number[] }[] = []
  const late: Record<FinalKind, number> = { delivered: 0, relayed: 0, failed: 0, discarded: 0, removed: 0 }
  for await (const { id, ended, lost } of settledOrLost(parts, Number.MAX_SAFE_INTEGER)) {
    if (lost.length > 0) missing.push({ id, copies: lost })
    for (const { kind } of ended) {
      const end = ends.find((one) => one === kind)
      if (end !== undefined) late[end] += 1
    }
  }
  return { missing, late }
}

/** Copies that wait in the spool; `unknown`: those of messages that the store does not know yet. */
async function countSpool(
  store: StoreReader,
  index: LiveIndex,
  since: number,
): Promise<{ readonly held: number; readonly queued: number; readonly unknown: number }> {
  const live = [...index.entries()].filter(({ id }) => index.isOnDisk(id))
  const { known, unknown } = await store.accepted(
    live.map(({ id }) => id),
    since,
  )
  const sums = { held: 0, queued: 0, unknown: 0 }
  for (const { id, receivedAt, pending, held } of live) {
    const isNew = unknown.has(id) && receivedAt >= since
    if (!isNew && !known.has(id)) continue
    sums.held += held.length
    sums.queued += pending.length - held.length
    if (isNew) sums.unknown += pending.length
  }
  return sums
}

async function openIndex({ spool, openVolume }: Place): Promise<LiveIndex> {
  const volume = await openVolume()
  if (await volume.isEmpty()) throw new ControlError(`there is no spool in ${spool}`)
  return LiveIndex.open(volume)
}

function auditText(found: Audit, terminal: Terminal): readonly string[] {
  const { since, sums, missing, behindBytes } = found
  const { accepted, ...others } = sums
  const difference = differenceOf(found)
  const rows = Object.entries(others).map(([name, count]) => [`  ${name}`, String(count)])
  return [
    `copies of messages accepted since ${formatSecond(since)}`,
    ...textTable([{}, { align: 'right' }], [['accepted', String(accepted)], ...rows]),
    ...(difference === 0 ? [] : [terminal.paint('red', `difference ${difference}`)]),
    ...(behindBytes === 0 ? [] : [`not counted yet: ${formatSize(behindBytes)} of the journal`]),
    ...(missing.length === 0
      ? ['nothing is missing']
      : [
          terminal.paint('red', `${plural(missing.length, 'message')} without outcome that the spool does not have:`),
          ...missing.map(({ id, copies }) => `  ${id}  ${plural(copies.length, 'copy', 'copies')}`),
        ]),
  ]
}

async function writeOffMessage(invocation: Invocation): Promise<number> {
  const id = messageIdOperand(invocation)
  const { missing } = await auditOf(await findPlace(invocation))
  const lost = missing.find((one) => one.id === id)
  if (lost === undefined) throw new ControlError(`message ${id} is not missing`)
  await withSystem(invocation, async ({ events }) => events.removed({ id, rcpt: lost.copies, by: operatorName() }))
  invocation.terminal.print(`${plural(lost.copies.length, 'copy', 'copies')} of ${id} written off`)
  return exitCodes.done
}
