import type { Token } from './lexer.ts'
import type { TokenReader } from './token-reader.ts'

/** Refuses an option that is stated twice; `group` for options that exclude each other. */
export class Once {
  readonly #reader: TokenReader
  readonly #seen = new Map<string, Token>()

  constructor(reader: TokenReader) {
    this.#reader = reader
  }

  check(option: Token, group: string = option.text): void {
    const earlier = this.#seen.get(group)
    if (earlier !== undefined) {
      const what =
        earlier.text === option.text
          ? `"${option.text}" stands here already`
          : `"${option.text}" excludes "${earlier.text}"`
      this.#reader.fail('duplicate', what, option.span, 'keep one of the two')
    }
    this.#seen.set(group, option)
  }

  note(option: Token): void {
    this.#seen.set(option.text, option)
  }

  spanOf(group: string): Token['span'] | undefined {
    return this.#seen.get(group)?.span
  }
}
