/** Longer fields are read up to here: no file name is that long, and reading one costs no more than its length squared. */
const mostFieldLength = 8_192

/** A header field of a part: its name in lower case, its unfolded value. */
export interface PartField {
  readonly name: string
  readonly value: string
}

/** The fields of a header section in latin1, whatever their order and however often they are repeated. */
export function partFields(section: string): readonly PartField[] {
  return section
    .replaceAll(/\r?\n(?=[ \t])/g, '')
    .split(/\r?\n/)
    .flatMap((line) => {
      const colon = line.indexOf(':')
      if (colon < 1) return []
      return [
        {
          name: line.slice(0, colon).trim().toLowerCase(),
          value: line.slice(colon + 1, colon + mostFieldLength).trim(),
        },
      ]
    })
}

/**
 * Parameters of Content-Type or Content-Disposition, decoded as mail programs do: quoted or not, in pieces (RFC 2231), as encoded
 * words (RFC 2047, which does not allow it here, and everybody reads it).
 */
export function parameters(value: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  const pieces = new Map<string, Map<number, string>>()
  const add = (name: string, text: string): void => void found.set(name, [...(found.get(name) ?? []), text])
  for (const [, rawName = '', quoted, plain] of value.matchAll(
    /[;\s]([^\s=;"]{1,80})\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s;]*))/g,
  )) {
    const text = quoted === undefined ? (plain ?? '') : quoted.replaceAll(/\\(.)/g, '$1')
    const [, name = '', piece, encoded] = /^([^*]+)(?:\*(\d{1,4}))?(\*)?$/.exec(rawName.toLowerCase()) ?? []
    const read =
      encoded === undefined ? decodeWords(utf8(text)) : decodePercent(text, piece === undefined || piece === '0')
    if (piece === undefined) add(name, read)
    else pieces.set(name, (pieces.get(name) ?? new Map<number, string>()).set(Number(piece), read))
  }
  for (const [name, parts] of pieces) {
    const inOrder = [...parts].toSorted(([one], [other]) => one - other)
    add(name, inOrder.map(([, text]) => text).join(''))
  }
  return found
}

/** Octets that came as latin1 are mostly UTF-8. */
function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}

/** `UTF-8''inv%6fice.exe`; the charset stands before the first piece. */
function decodePercent(text: string, isFirst: boolean): string {
  const encoded = isFirst ? text.replace(/^[^']*'[^']*'/, '') : text
  const octets = encoded.replaceAll(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return utf8(octets)
}

/** `=?utf-8?B?...?=`; blanks between two of them do not count. */
function decodeWords(text: string): string {
  return text
    .replaceAll(/\?=\s+=\?/g, '?==?')
    .replaceAll(/=\?[^?\s]{1,40}\?([bq])\?([^?\s]*)\?=/gi, (_all, kind: string, body: string) => {
      if (kind.toLowerCase() === 'b') return Buffer.from(body, 'base64').toString('utf8')
      return decodePercent(body.replaceAll('_', ' ').replaceAll('=', '%'), false)
    })
}
