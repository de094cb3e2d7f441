/** Takes the entries of a list in turn: each call begins with the next one, the others follow. */
export class Turns {
  readonly #next = new Map<string, number>()

  rotate<T>(name: string, entries: readonly T[]): readonly T[] {
    if (entries.length < 2) return entries
    const start = (this.#next.get(name) ?? 0) % entries.length
    this.#next.set(name, start + 1)
    return [...entries.slice(start), ...entries.slice(0, start)]
  }
}
