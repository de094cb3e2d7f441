const maxColumns = 78

/**
 * A field of `;`-separated tags, folded so that no line is longer than 78 columns (a tab counts as one) as far as the
 * words allow: between tags, and in a list of names behind a colon (RFC 6376 §3.5 allows FWS there). No CRLF at the end.
 */
export function foldTags(name: string, tags: readonly string[]): string {
  const pieces = tags.flatMap((tag, index) => piecesOf(index < tags.length - 1 ? `${tag};` : tag))
  let line = `${name}:`
  let text = ''
  for (const { piece, glued } of pieces) {
    const joined = glued ? piece : ` ${piece}`
    if (line.length + joined.length <= maxColumns) line += joined
    else {
      text += `${line}\r\n`
      line = `\t${piece}`
    }
  }
  return text + line
}

interface Piece {
  readonly piece: string
  /** Stands right behind the piece before it when both fit in one line. */
  readonly glued: boolean
}

function piecesOf(tag: string): Piece[] {
  if (!tag.startsWith('h=')) return [{ piece: tag, glued: false }]
  return (tag.match(/[^:]+:?/g) ?? []).map((piece, index) => ({ piece, glued: index > 0 }))
}
