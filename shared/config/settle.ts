import { PendingLookup, TableError } from './external-table.ts'
import type { KnownAnswers, TableAnswer } from './external-table.ts'

/** Tables that can be asked with some of their answers fixed. */
export interface Suspending<Tables> {
  answering(known: KnownAnswers): Tables
}

/** Look-ups of one evaluation that had to be waited for: far more than any mailing list has, and an end to what never ends. */
const maxRounds = 2_000

/**
 * Evaluates; whenever an answer is on its way, waits for it and evaluates again from the start with this answer fixed. So `work`
 * may look up what it likes, must do nothing else that counts twice, and sees each answer as the same throughout. While all
 * answers are at hand it runs once and there is no promise.
 * @throws TableError, at once or as a rejection: an answer failed
 */
export function settle<Tables extends Suspending<Tables>, Result>(
  tables: Tables,
  work: (tables: Tables) => Result,
): Result | Promise<Result> {
  try {
    return work(tables)
  } catch (error) {
    if (error instanceof PendingLookup) return settleLater(tables, work, error)
    throw error
  }
}

async function settleLater<Tables extends Suspending<Tables>, Result>(
  tables: Tables,
  work: (tables: Tables) => Result,
  first: PendingLookup,
): Promise<Result> {
  const known = new Map<string, TableAnswer>()
  let pending = first
  for (let round = 0; round < maxRounds; round += 1) {
    known.set(pending.id, await pending.answer)
    try {
      return work(tables.answering(known))
    } catch (error) {
      if (!(error instanceof PendingLookup)) throw error
      pending = error
    }
  }
  throw new TableError(`more than ${maxRounds} look-ups for one decision`)
}
