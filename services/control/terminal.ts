import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

/** Where a command prints and asks; replaced in tests. */
export interface Terminal {
  /**
   * Writes lines of text. What came from a message goes through `visible` first; what did not, by oversight, cannot drive the terminal
   * either: control characters are written as JSON writes them, so that JSON stays what it is.
   */
  print(line: string): void
  warn(line: string): void
  /** Octets of a message: as they are, but on a terminal as harmless as a line. */
  write(bytes: Buffer): Promise<void>
  /** The text in a colour when the output is a terminal that wants colours. */
  paint(colour: Colour, text: string): string
  /** Asks without echo on a terminal, else reads the first line of standard input. `undefined`: end of input. */
  askSecret(prompt: string): Promise<string | undefined>
  /** Somebody sits there and can be asked. */
  readonly isWatched: boolean
  /** Whether he says yes. */
  confirm(question: string): Promise<boolean>
}

export type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

const codes: Readonly<Record<Colour, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
}

type Stream = Writable & { readonly isTTY?: boolean }

export function openTerminal(
  streams: {
    readonly input: Readable & { readonly isTTY?: boolean }
    readonly output: Stream
    readonly errors: Stream
  },
  environment: NodeJS.ProcessEnv,
): Terminal {
  const { input, output, errors } = streams
  const coloured = output.isTTY === true && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb'
  const decoder = new StringDecoder('utf8')
  return {
    print: (line) => void output.write(`${harmless(line)}\n`),
    warn: (line) => void errors.write(`${harmless(line)}\n`),
    write: (bytes) =>
      new Promise((resolve, reject) => {
        const shown = output.isTTY === true ? harmless(decoder.write(bytes)) : bytes
        output.write(shown, (error) => (error === undefined || error === null ? resolve() : reject(error)))
      }),
    paint: (colour, text) => {
      const [on, off] = codes[colour]
      return coloured ? `\u001b[${on}m${text}\u001b[${off}m` : text
    },
    askSecret: (prompt) => askSecret(input, errors, prompt),
    isWatched: input.isTTY === true && errors.isTTY === true,
    confirm: (question) => confirm(input, errors, question),
  }
}

/** Line ends, tabs and the colours of `paint` are let through. */
const driving =
  /\r\n|\u001b\[(?:1|2|22|31|32|33|39)m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

function harmless(text: string): string {
  return text.replaceAll(driving, (found) =>
    found.length > 1 ? found : `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Text from a message, a peer or a file with its control and direction characters written out: it cannot drive the terminal. */
export function visible(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    if (character === '\t') return ' '
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  })
}

async function confirm(input: Readable, errors: Writable, question: string): Promise<boolean> {
  const lines = createInterface({ input, output: errors, terminal: true })
  lines.setPrompt(`${question} [y/N] `)
  lines.prompt()
  try {
    for await (const line of lines) return /^\s*y(es)?\s*$/i.test(line)
    return false
  } finally {
    lines.close()
  }
}

async function askSecret(
  input: Readable & { readonly isTTY?: boolean },
  errors: Writable,
  prompt: string,
): Promise<string | undefined> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = input.isTTY === true
  const lines = createInterface({ input, output: silent, terminal })
  if (terminal) errors.write(prompt)
  try {
    for await (const line of lines) return line
    return undefined
  } finally {
    lines.close()
    if (terminal) errors.write('\n')
  }
}
