import type { Terminal } from './terminal.ts'

/** One command of sluicectl: its words, what it takes, and what it does. Parsing and help come from this table alone. */
export interface Command {
  /** `['show', 'queue']`; each may be shortened as long as it is unambiguous. */
  readonly words: readonly string[]
  readonly operands: readonly Operand[]
  readonly options?: readonly Option[]
  readonly summary: string
  /** @returns the exit code */
  run(invocation: Invocation): Promise<number>
}

export interface Operand {
  /** As shown in the usage line: `ID|all`. */
  readonly name: string
  readonly required: boolean
  /** The last one: may be given more than once. */
  readonly multiple?: true
}

export interface Option {
  readonly name: string
  readonly short?: string
  /** Name of its value in the usage line; absent: a switch. */
  readonly value?: string
  /** May be given more than once. */
  readonly multiple?: boolean
  readonly summary: string
}

/** A command line that was understood. */
export interface Invocation {
  readonly operands: readonly string[]
  readonly options: OptionValues
  readonly terminal: Terminal
  readonly environment: NodeJS.ProcessEnv
}

export class OptionValues {
  readonly #values: ReadonlyMap<string, readonly (string | true)[]>

  constructor(values: ReadonlyMap<string, readonly (string | true)[]>) {
    this.#values = values
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** The last value given. */
  text(name: string): string | undefined {
    return this.texts(name).at(-1)
  }

  without(...names: readonly string[]): OptionValues {
    return new OptionValues(new Map([...this.#values].filter(([name]) => !names.includes(name))))
  }

  texts(name: string): readonly string[] {
    return (this.#values.get(name) ?? []).filter((value) => value !== true)
  }
}

export const exitCodes = { done: 0, failed: 1, usage: 2, configuration: 78 } as const

/** Options every command takes. */
export const commonOptions: readonly Option[] = [
  { name: 'smtpd-conf', short: 'f', value: 'FILE', summary: 'smtpd.conf to read (SMTPD_CONF)' },
  { name: 'pipeline-conf', short: 'p', value: 'FILE', summary: 'pipeline.conf to read (PIPELINE_CONF)' },
  { name: 'data', short: 'd', value: 'FOLDER', summary: 'data folder (SLUICE_DATA, ./var)' },
  { name: 'define', short: 'D', value: 'NAME=VALUE', multiple: true, summary: 'define a macro of smtpd.conf' },
  { name: 'json', summary: 'print JSON' },
  { name: 'help', short: 'h', summary: 'print this help' },
]

/** The command line cannot be understood: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The command cannot do its work: one line, and the exit code. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
  readonly exitCode: number

  constructor(message: string, exitCode: number = exitCodes.failed, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}
