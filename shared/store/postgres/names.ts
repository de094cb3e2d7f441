import type { Session } from './connection.ts'
import { cleanText } from './records.ts'

/** The few words that stand in many rows, as numbers. Numbers rise with the transactions, which take turns. */
export class Names {
  readonly #numbers = new Map<string, number>()
  readonly #texts = new Map<number, string>()
  #highest = 0

  /** Takes over what other hosts added. */
  async refresh({ run }: Session): Promise<void> {
    const rows = (await run('SELECT name, text FROM names WHERE name > $1', [this.#highest])) as readonly [
      number,
      string,
    ][]
    for (const [name, text] of rows) this.#keep(name, text)
  }

  /** Those that are new. */
  async add({ run }: Session, texts: readonly (string | undefined)[]): Promise<void> {
    const fresh = new Set<string>()
    for (const text of texts) {
      if (text === undefined) continue
      const clean = cleanText(text)
      if (!this.#numbers.has(clean)) fresh.add(clean)
    }
    if (fresh.size === 0) return
    const rows = (await run('INSERT INTO names (text) SELECT unnest($1::text[]) RETURNING name, text', [
      [...fresh],
    ])) as readonly [number, string][]
    for (const [name, text] of rows) this.#keep(name, text)
  }

  number(text: string | undefined): number | null {
    return text === undefined ? null : (this.#numbers.get(cleanText(text)) ?? null)
  }

  text(name: number): string {
    return this.#texts.get(name) ?? ''
  }

  #keep(name: number, text: string): void {
    this.#numbers.set(text, name)
    this.#texts.set(name, text)
    this.#highest = Math.max(this.#highest, name)
  }
}
