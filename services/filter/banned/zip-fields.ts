import { createHash } from 'node:crypto'

/** The longest name that is read; those of files on disks are shorter. */
export const mostNameBytes = 1_024

/** In a field of 32 bits: the extra field of ZIP64 has it. */
const inExtra = 0xffffffff
const zip64Id = 1

/** Of the general purpose flags of an entry. */
export function isEncrypted(flags: number): boolean {
  return (flags & 1) !== 0
}

/** What a header of a file and its entry of the directory have to agree on, in few octets. */
export function agreementOf(file: {
  readonly name: string
  readonly isEncrypted: boolean
  readonly method: number
}): string {
  return createHash('sha256').update(`${file.method} ${file.isEncrypted} ${file.name}`).digest('base64')
}

/**
 * The fields of a header, those that do not fit from the extra field of ZIP64, which has them in the same order
 * (APPNOTE.TXT 4.5.3). NaN: it does not have it.
 */
export function wideFields(fields: readonly number[], extra: Buffer): readonly number[] {
  if (!fields.includes(inExtra)) return fields
  const wide = zip64Extra(extra)
  let at = 0
  return fields.map((field) => {
    if (field !== inExtra) return field
    at += 8
    return at <= wide.length ? Number(wide.readBigUInt64LE(at - 8)) : NaN
  })
}

function zip64Extra(extra: Buffer): Buffer {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2))
    if (extra.readUInt16LE(at) === zip64Id) return extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2))
  return extra.subarray(0, 0)
}
