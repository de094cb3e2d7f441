import { crc32, deflateRawSync } from 'node:zlib'

export interface PackedFile {
  readonly name: string
  readonly octets: Buffer
  /** 8, deflated, when left out; 0: as it is; others only say so. */
  readonly method?: number
  /** Only says so. */
  readonly encrypted?: true
  /** The sizes stand behind the file, as of a packer that writes to a pipe. */
  readonly streamed?: true
}

const dataDescriptorFlag = 8

/** A ZIP archive (APPNOTE.TXT 6.3). */
export function zipOf(files: readonly PackedFile[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, octets, method = 8, encrypted, streamed } of files) {
    const packed = method === 8 ? deflateRawSync(octets) : octets
    const nameOctets = Buffer.from(name)
    const flags = (encrypted ? 1 : 0) | (streamed ? dataDescriptorFlag : 0)
    const sizes = [crc32(octets), packed.length, octets.length]
    const shared = (shown: readonly number[]): readonly Buffer[] => [
      u16(20, flags, method, 0, 0),
      u32(...shown),
      u16(nameOctets.length, 0),
    ]
    const local = Buffer.concat([
      Buffer.from('PK\x03\x04'),
      ...shared(streamed ? [0, 0, 0] : sizes),
      nameOctets,
      packed,
    ])
    const descriptor = streamed ? Buffer.concat([Buffer.from('PK\x07\x08'), u32(...sizes)]) : Buffer.alloc(0)
    const central = [Buffer.from('PK\x01\x02'), u16(20), ...shared(sizes), u16(0, 0, 0), u32(0, offset), nameOctets]
    directory.push(Buffer.concat(central))
    parts.push(local, descriptor)
    offset += local.length + descriptor.length
  }
  const all = Buffer.concat(directory)
  const end = [Buffer.from('PK\x05\x06'), u16(0, 0, files.length, files.length), u32(all.length, offset), u16(0)]
  return Buffer.concat([...parts, all, ...end])
}

/** A tar archive (POSIX ustar); names that are too long for it in GNU's way. */
export function tarOf(files: readonly { readonly name: string; readonly octets: Buffer }[]): Buffer {
  const entries = files.flatMap(({ name, octets }) =>
    name.length < 100
      ? [tarEntry(name, '0', octets)]
      : [tarEntry('././@LongLink', 'L', Buffer.from(`${name}\0`)), tarEntry(name.slice(0, 99), '0', octets)],
  )
  return Buffer.concat([...entries, Buffer.alloc(1_024)])
}

function tarEntry(name: string, type: string, octets: Buffer): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0000644\x000000000\x000000000\x00', 100)
  header.write(`${octets.length.toString(8).padStart(11, '0')}\x0000000000000\x00        ${type}`, 124)
  header.write('ustar\x00', 257)
  header.write('00', 263)
  const sum = header.reduce((total, octet) => total + octet, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([header, octets, Buffer.alloc((512 - (octets.length % 512)) % 512)])
}

/** A RAR archive of version 5 with files that are stored. */
export function rarOf(files: readonly PackedFile[]): Buffer {
  const blocks = files.map(({ name, octets, encrypted }) => {
    const nameOctets = Buffer.from(name)
    // A record of encryption (type 1), AES-256, salt and IV of zeros.
    const extra = encrypted
      ? [...vint(36), ...vint(1), ...vint(0), ...vint(0), 15, ...Array.from({ length: 32 }, () => 0)]
      : []
    const flags = [
      ...vint(extra.length > 0 ? 3 : 2),
      ...(extra.length > 0 ? vint(extra.length) : []),
      ...vint(octets.length),
    ]
    const file = [...vint(4), ...vint(octets.length), ...vint(0o100644), ...u32(crc32(octets)), ...vint(0), ...vint(1)]
    const body = [...vint(2), ...flags, ...file, ...vint(nameOctets.length), ...nameOctets, ...extra]
    return Buffer.concat([rarHeader(body), octets])
  })
  const mark = Buffer.from('Rar!\x1a\x07\x01\0', 'latin1')
  const main = rarHeader([...vint(1), ...vint(0), ...vint(0)])
  return Buffer.concat([mark, main, ...blocks, rarHeader([...vint(5), ...vint(0), ...vint(0)])])
}

function rarHeader(body: readonly number[]): Buffer {
  const sized = Buffer.from([...vint(body.length), ...body])
  return Buffer.concat([u32(crc32(sized)), sized])
}

function vint(value: number): readonly number[] {
  return value < 128 ? [value] : [(value & 0x7f) | 0x80, ...vint(Math.floor(value / 128))]
}

function u16(...values: readonly number[]): Buffer {
  const octets = Buffer.alloc(values.length * 2)
  values.forEach((value, index) => octets.writeUInt16LE(value, index * 2))
  return octets
}

function u32(...values: readonly number[]): Buffer {
  const octets = Buffer.alloc(values.length * 4)
  values.forEach((value, index) => octets.writeUInt32LE(value, index * 4))
  return octets
}
