import { logicalLines } from './logical-lines.ts'
import { resolvePath } from './path.ts'
import { parsePlace } from './socket-place.ts'
import { TableFormatError } from './table-file.ts'
import type { SocketPlace } from './model.ts'

interface Setting {
  readonly name: string
  readonly value: string
  readonly line: number
}

/**
 * A file of settings of a table backend, `name value` as OpenSMTPD has them or `name = value` as Postfix does. What nobody took when
 * `end` is called is a fault, so that every word is carried out or told.
 */
export class SettingsFile {
  readonly #path: string
  readonly #read: (path: string) => string
  readonly #settings = new Map<string, Setting>()
  readonly #known: string[] = []

  /** @throws TableFormatError */
  constructor(path: string, read: (path: string) => string) {
    this.#path = path
    this.#read = read
    for (const { line, text } of logicalLines(read(path))) {
      const [, name = '', value = ''] = /^([^\s=]+)\s*=?\s*(.*)$/s.exec(text) ?? []
      if (value === '') throw new TableFormatError(line, `"${name}" has no value`)
      if (this.#settings.has(name)) throw new TableFormatError(line, `"${name}" is stated already`)
      this.#settings.set(name, { name, value, line })
    }
  }

  /** By any of its names; two of them at once are a fault. */
  text(...names: readonly string[]): string | undefined {
    return this.#take(names)?.value
  }

  required(...names: readonly string[]): string {
    return this.text(...names) ?? this.#missing(names)
  }

  number(least: number, most: number, ...names: readonly string[]): number | undefined {
    const found = this.#take(names)
    if (found === undefined) return undefined
    const value = Number(found.value)
    if (!Number.isInteger(value) || value < least || value > most)
      throw new TableFormatError(found.line, `${found.name} is a number from ${least} to ${most}, not ${found.value}`)
    return value
  }

  choice<Choice extends string>(known: readonly Choice[], ...names: readonly string[]): Choice | undefined {
    const found = this.#take(names)
    if (found === undefined) return undefined
    const choice = known.find((one) => one === found.value)
    if (choice === undefined)
      throw new TableFormatError(found.line, `${found.name} is one of ${known.join(', ')}, not ${found.value}`)
    return choice
  }

  place(...names: readonly string[]): SocketPlace | undefined {
    const found = this.#take(names)
    if (found === undefined) return undefined
    const place = parsePlace(found.value)
    if (place === undefined) throw new TableFormatError(found.line, `${found.value} is no host:port and no /path`)
    return place
  }

  /** The first line of the file that is named; only passwords are kept so. */
  secret(...names: readonly string[]): string | undefined {
    const plain = this.text(...names)
    const file = this.#take(names.map((name) => `${name}_file`))
    if (file === undefined) return plain
    if (plain !== undefined) throw new TableFormatError(file.line, `${file.name} and ${names.join(', ')}: one of them`)
    return this.#contentOf(file).split(/\r?\n/)[0] ?? ''
  }

  /** The content of a file that is named. */
  content(...names: readonly string[]): string | undefined {
    const found = this.#take(names)
    return found === undefined ? undefined : this.#contentOf(found)
  }

  path(name: string): string {
    return resolvePath(this.required(name), this.#path)
  }

  /** What `parse` makes of a value; what it throws is told with the line. */
  parsed<Value>(parse: (text: string) => Value, ...names: readonly string[]): Value | undefined {
    const found = this.#take(names)
    if (found === undefined) return undefined
    try {
      return parse(found.value)
    } catch (error) {
      throw new TableFormatError(found.line, error instanceof Error ? error.message : String(error))
    }
  }

  /** @throws TableFormatError when a setting is left */
  end(): void {
    for (const { name, line } of this.#settings.values())
      throw new TableFormatError(line, `there is no setting "${name}"; one of: ${this.#known.join(', ')}`)
  }

  #take(names: readonly string[]): Setting | undefined {
    this.#known.push(...names.slice(0, 1))
    const found = names.flatMap((name) => this.#settings.get(name) ?? []).sort((one, other) => one.line - other.line)
    const [first, second] = found
    if (second !== undefined) throw new TableFormatError(second.line, `${names.join(', ')} are the same: one of them`)
    if (first !== undefined) this.#settings.delete(first.name)
    return first
  }

  #contentOf({ value, line }: Setting): string {
    const path = resolvePath(value, this.#path)
    try {
      return this.#read(path)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new TableFormatError(line, `cannot read ${path}: ${reason}`)
    }
  }

  #missing(names: readonly string[]): never {
    throw new TableFormatError(1, `${names.join(' or ')} is missing`)
  }
}
