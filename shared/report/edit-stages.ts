import type { JournalEntry } from '../journal.ts'
import { fieldValue, headerFields } from '../mail/header-edit.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import type { JobView } from './views.ts'

/** What one stage did to the header section, in its order. */
export interface StageEdits {
  /** `acceptance`: before the first queue. */
  readonly stage: string
  readonly changes: readonly HeaderChange[]
}

export interface HeaderChange {
  readonly kind: 'added' | 'removed' | 'changed' | 'other'
  /** `X-Spam: yes` */
  readonly text: string
}

/** A message as it came to a queue: after these, with all edits so far. */
interface Arrival {
  readonly path: readonly string[]
  readonly queue: string
  readonly edits: readonly HeaderEdit[]
}

/**
 * What each stage added, removed and changed, as far as it is known: by the jobs of the last hour, and with `replay keep` by the journal.
 * @param accepted the edits it was accepted with; absent: they are not known any more
 */
export function editStages(
  accepted: readonly HeaderEdit[] | undefined,
  jobs: readonly JobView[],
  story: readonly JournalEntry[],
): readonly StageEdits[] {
  const base = accepted ?? shortest([...jobs].map(({ edits }) => edits))
  const arrivals = [
    ...jobs.map(({ path, queue, edits }): Arrival => ({ path, queue, edits })),
    ...arrivalsTold(base, story),
  ].toSorted((one, other) => one.path.length - other.path.length || one.edits.length - other.edits.length)
  const stages = new Map<string, readonly HeaderEdit[]>()
  if (base.length > 0) stages.set('acceptance', base)
  for (const { path, edits } of arrivals) {
    const before = arrivals.findLast((one) => isBefore(one, path))
    const added = edits.slice(before?.edits.length ?? base.length)
    const stage = path.slice(before === undefined ? 0 : before.path.length).join(', ')
    if (stage === '' || added.length === 0) continue
    if (added.length > (stages.get(stage)?.length ?? 0)) stages.set(stage, added)
  }
  return [...stages].map(([stage, edits]) => ({ stage, changes: edits.flatMap(changesOf) }))
}

/** Header edits, one line each: what is done to which field, with its value. */
export function changesOf(edit: HeaderEdit): readonly HeaderChange[] {
  switch (edit.kind) {
    case 'prepend':
      return fieldTexts(edit.fields).map((text) => ({ kind: 'added', text }))
    case 'remove':
      return [{ kind: 'removed', text: edit.value === undefined ? edit.name : `${edit.name}: ${edit.value}` }]
    case 'replace':
      return fieldTexts(edit.field).map((text) => ({ kind: 'changed', text }))
    case 'wrap':
      return [{ kind: 'other', text: 'attach the message to a report' }]
    case 'seven-bit':
      return [{ kind: 'other', text: 'encode the body for 7-bit transport' }]
  }
}

function fieldTexts(fields: string): readonly string[] {
  return headerFields(Buffer.from(fields)).map((field) => `${nameOf(field.raw)}: ${fieldValue(field)}`)
}

/** A field's name as it is written. */
function nameOf(raw: Buffer): string {
  return raw.toString('latin1').split(':', 1)[0]?.trimEnd() ?? ''
}

/** Its queue is the last on the way there. */
function isBefore({ path, queue }: Arrival, later: readonly string[]): boolean {
  return later.length > path.length && later.slice(0, path.length + 1).join(' ') === [...path, queue].join(' ')
}

/** As `Events.routed` writes it with `replay keep`. */
function arrivalsTold(base: readonly HeaderEdit[], story: readonly JournalEntry[]): readonly Arrival[] {
  return story.flatMap(({ event, queue, arrival }) => {
    if (event !== 'routed' || typeof queue !== 'string' || typeof arrival !== 'object' || arrival === null) return []
    const { path = [], edits = [] } = arrival as { readonly path?: readonly string[]; readonly edits?: HeaderEdit[] }
    return [{ path, queue, edits: [...base, ...edits] }]
  })
}

function shortest(lists: readonly (readonly HeaderEdit[])[]): readonly HeaderEdit[] {
  return lists.toSorted((one, other) => one.length - other.length)[0] ?? []
}
