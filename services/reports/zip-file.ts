import { ReportFault } from './values.ts'

const directoryEndMagic = Buffer.from('PK\x05\x06', 'latin1')
const directoryEndBytes = 22
const mostCommentBytes = 65_535
const entryMagic = 0x02014b50
const entryBytes = 46
const fileMagic = 0x04034b50
const fileBytes = 30
/** Archives of real reporters have one; some add what their operating system likes. */
const mostEntries = 20

interface Entry {
  readonly name: string
  readonly isEncrypted: boolean
  readonly method: number
  readonly packedBytes: number
  readonly at: number
}

/**
 * The report in a ZIP archive (APPNOTE 6.3), still deflated, or as it is when it was only stored: the file whose name ends in .xml or
 * .json, or the only one. @throws ReportFault
 */
export function onlyFileOf(archive: Buffer): Buffer | { readonly stored: Buffer } {
  const files = entriesOf(archive).filter(({ name }) => !name.endsWith('/'))
  const named = files.filter(({ name }) => /\.(?:xml|json)$/i.test(name) && !name.startsWith('__MACOSX'))
  const candidates = named.length > 0 ? named : files
  const [file] = candidates
  if (file === undefined || candidates.length > 1)
    throw new ReportFault(`the ZIP archive holds ${candidates.length} files, and a report is one`)
  if (file.isEncrypted) throw new ReportFault('the ZIP archive is encrypted')
  if (file.method !== 0 && file.method !== 8)
    throw new ReportFault(`the ZIP archive is packed in a way (${file.method}) nobody reads`)
  const octets = octetsOf(archive, file)
  return file.method === 0 ? { stored: octets } : octets
}

function entriesOf(archive: Buffer): readonly Entry[] {
  const earliest = Math.max(0, archive.length - directoryEndBytes - mostCommentBytes)
  const end = archive.lastIndexOf(directoryEndMagic)
  if (end < earliest || end + directoryEndBytes > archive.length)
    throw new ReportFault('the ZIP archive has no directory')
  const count = archive.readUInt16LE(end + 10)
  if (count > mostEntries) throw new ReportFault(`the ZIP archive holds ${count} files, and a report is one`)
  const entries: Entry[] = []
  let at = archive.readUInt32LE(end + 16)
  for (let index = 0; index < count; index += 1) {
    if (at + entryBytes > archive.length || archive.readUInt32LE(at) !== entryMagic)
      throw new ReportFault('the directory of the ZIP archive is damaged')
    const nameBytes = archive.readUInt16LE(at + 28)
    entries.push({
      name: archive.toString('utf8', at + entryBytes, at + entryBytes + nameBytes),
      isEncrypted: (archive.readUInt16LE(at + 8) & 1) !== 0,
      method: archive.readUInt16LE(at + 10),
      packedBytes: archive.readUInt32LE(at + 20),
      at: archive.readUInt32LE(at + 42),
    })
    at += entryBytes + nameBytes + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32)
  }
  return entries
}

function octetsOf(archive: Buffer, { at, packedBytes }: Entry): Buffer {
  const isThere = at + fileBytes <= archive.length && archive.readUInt32LE(at) === fileMagic
  const from = isThere ? at + fileBytes + archive.readUInt16LE(at + 26) + archive.readUInt16LE(at + 28) : 0
  if (!isThere || from + packedBytes > archive.length) throw new ReportFault('the ZIP archive is cut off or damaged')
  return archive.subarray(from, from + packedBytes)
}
