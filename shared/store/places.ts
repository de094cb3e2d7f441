/** Where a line of the journal begins. */
export interface Place {
  /** Its number in the table `files`. */
  readonly file: number
  /** Octet offset. */
  readonly offset: number
}

/** A story of more lines is cut here; a message to thousands of recipients has some for each. */
const mostBytes = 256 * 1024

/** Adds places to those that are packed already: pairs of numbers in seven-bit groups, the lowest first. */
export function packPlaces(packed: Uint8Array | undefined, places: readonly Place[]): Buffer {
  const before = packed ?? new Uint8Array()
  if (before.length >= mostBytes) return Buffer.from(before)
  const octets: number[] = []
  for (const { file, offset } of places) {
    packNumber(octets, file)
    packNumber(octets, offset)
  }
  return Buffer.concat([before, Buffer.from(octets)])
}

export function unpackPlaces(packed: Uint8Array): readonly Place[] {
  const places: Place[] = []
  const reader = { packed, at: 0 }
  while (reader.at < packed.length) places.push({ file: unpackNumber(reader), offset: unpackNumber(reader) })
  return places
}

function packNumber(octets: number[], value: number): void {
  let rest = value
  while (rest >= 128) {
    octets.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  octets.push(rest)
}

function unpackNumber(reader: { readonly packed: Uint8Array; at: number }): number {
  let value = 0
  for (let scale = 1; ; scale *= 128) {
    const octet = reader.packed[reader.at] ?? 0
    reader.at += 1
    value += (octet % 128) * scale
    if (octet < 128) return value
  }
}
