import { parameters } from './mime-fields.ts'
import type { PartField } from './mime-fields.ts'

/** Parts lie in each other no deeper than this; what is deeper is text of the part around it. */
export const mostMimeDepth = 100

/** `part`: one begins behind it; `end`: none does. */
export interface Boundary {
  readonly kind: 'part' | 'end'
  /** How many multiparts one is in behind it. */
  readonly depth: number
}

/** The boundaries of the multiparts that a reader of a message is in (RFC 2046 §5.1.1), from outside to inside. */
export class MimeBoundaries {
  readonly #open: string[] = []
  #levels = new Map<string, number>()

  /** False: it is too deep. A boundary that nobody can write is none. */
  enter(boundary: string): boolean {
    if (boundary === '') return true
    if (this.#open.length >= mostMimeDepth) return false
    this.#levels.set(boundary, this.#open.length)
    this.#open.push(boundary)
    return true
  }

  /** The boundary that a line which begins with `--` is; undefined: it is text. */
  at(line: string): Boundary | undefined {
    const text = line.slice(2).trimEnd()
    const opened = this.#levels.get(text)
    if (opened !== undefined) return { kind: 'part', depth: opened + 1 }
    const closed = text.endsWith('--') ? this.#levels.get(text.slice(0, -2)) : undefined
    return closed === undefined ? undefined : { kind: 'end', depth: closed }
  }

  /** Goes past the boundary, which ends all parts inside its own. */
  pass({ depth }: Boundary): void {
    if (depth >= this.#open.length) return
    this.#open.length = depth
    this.#levels = new Map(this.#open.map((boundary, level) => [boundary, level]))
  }
}

/** What Content-Type fields say about the body: its boundaries, or that it is a message (RFC 2046 §5.2.1). */
export function structureOf(fields: readonly PartField[]): {
  readonly boundaries: readonly string[]
  readonly isMessage: boolean
} {
  const boundaries: string[] = []
  let isMessage = false
  for (const { name, value } of fields) {
    if (name !== 'content-type') continue
    const type = mediaType(value)
    isMessage ||= type === 'message/rfc822' || type === 'message/global'
    if (!type.startsWith('multipart/')) continue
    boundaries.push(...(parameters(value).get('boundary') ?? []).map((boundary) => boundary.trimEnd()))
  }
  return { boundaries, isMessage }
}

/** `text/html` of `Text/HTML; charset=...`. */
export function mediaType(value: string): string {
  return /^[^\s;]*/.exec(value)?.[0]?.toLowerCase() ?? ''
}
