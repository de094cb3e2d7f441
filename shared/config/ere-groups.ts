import { holdsAt } from './ere-state.ts'
import type { State } from './ere-state.ts'

/** A path through the expression: the state it waits in, and the places it noted. */
interface Path {
  readonly index: number
  readonly notes: readonly number[]
}

/**
 * What the groups of an expression matched, of the first match from the left; where there are several ways, the preferred one (as
 * Perl's, not the longest). All paths are followed at once, and of those that meet the preferred one goes on: linear in the subject.
 */
export function findGroups(
  states: readonly State[],
  first: number,
  final: number,
  subject: string,
): readonly string[] | undefined {
  let paths: readonly Path[] = []
  let found: readonly number[] | undefined
  for (let at = 0; at <= subject.length; at += 1) {
    const begins: readonly Path[] = found === undefined ? [{ index: first, notes: [] }] : []
    const reached = spread(states, [...paths, ...begins], at, subject)
    const done = reached.findIndex(({ index }) => index === final)
    if (done >= 0) found = reached[done]?.notes
    const alive = done < 0 ? reached : reached.slice(0, done)
    const code = subject.charCodeAt(at)
    paths = alive.flatMap(({ index, notes }) => {
      const state = states[index]
      return state?.accepts?.(code) === true ? state.to.map((to) => ({ index: to, notes })) : []
    })
    if (paths.length === 0 && found !== undefined) break
  }
  return found === undefined ? undefined : textsOf(found, subject)
}

/** What is reached without reading, in the order of preference; the first to reach a state keeps it. */
function spread(states: readonly State[], from: readonly Path[], at: number, subject: string): readonly Path[] {
  const seen = new Set<number>()
  const reached: Path[] = []
  const open = [...from].reverse()
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const { index, notes } = path
    if (seen.has(index)) continue
    seen.add(index)
    const state = states[index]
    if (state === undefined) continue
    if (state.anchor !== undefined && !holdsAt(state.anchor, at, subject)) continue
    if (state.accepts !== undefined || state.to.length === 0) reached.push(path)
    const noted = state.note === undefined ? notes : withNote(notes, state.note, at)
    if (state.accepts === undefined) for (const to of state.to.toReversed()) open.push({ index: to, notes: noted })
  }
  return reached
}

function withNote(notes: readonly number[], place: number, at: number): readonly number[] {
  const noted = [...notes]
  noted[place] = at
  return noted
}

function textsOf(notes: readonly number[], subject: string): readonly string[] {
  return Array.from({ length: Math.ceil(notes.length / 2) }, (_, group) =>
    subject.slice(notes[group * 2] ?? 0, notes[group * 2 + 1] ?? 0),
  )
}
