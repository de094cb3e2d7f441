/** Record types of the questions that we ask ourselves (RFC 1035 §3.2.2, RFC 3596, RFC 6698 §7.1). */
export const recordTypes = { A: 1, MX: 15, TXT: 16, AAAA: 28, TLSA: 52 } as const

export type RecordType = keyof typeof recordTypes

const optType = 41
/** Fits into one frame on the way (RFC 9715 §3). */
const udpSizeBytes = 1232

export interface DnsRecord {
  /** The name that has it. */
  readonly owner: string
  readonly type: number
  readonly ttlSeconds: number
  /** RDATA, where it stands in the message: names in it may be compressed. */
  readonly at: number
  readonly data: Buffer
}

export interface DnsAnswer {
  readonly id: number
  /** RCODE: 0 no error, 2 server failure, 3 no such name. */
  readonly code: number
  readonly truncated: boolean
  /** AD: the server checked the signatures of all of it (RFC 4035 §3.2.3). */
  readonly authenticated: boolean
  readonly question: { readonly name: string; readonly type: number }
  readonly records: readonly DnsRecord[]
  readonly message: Buffer
}

/** A question for a recursive server: RD, AD and EDNS with DO (RFC 6840 §5.7, RFC 3225). @throws RangeError for no domain name */
export function encodeQuery(id: number, name: string, type: RecordType): Buffer {
  const header = Buffer.from([id >> 8, id & 0xff, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1])
  const question = Buffer.from([0, recordTypes[type], 0, 1])
  const opt = Buffer.from([0, 0, optType, udpSizeBytes >> 8, udpSizeBytes & 0xff, 0, 0, 0x80, 0, 0, 0])
  return Buffer.concat([header, encodeName(name), question, opt])
}

/** Undefined for what is no answer to one question. */
export function decodeAnswer(message: Buffer): DnsAnswer | undefined {
  try {
    return decode(message)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** The strings of a TXT record in one, octets as latin1 (RFC 1035 §3.3.14). Undefined when they do not fill it. */
export function joinTexts(data: Buffer): string | undefined {
  let text = ''
  let place = 0
  while (place < data.length) {
    const end = place + 1 + data.readUInt8(place)
    if (end > data.length) return undefined
    text += data.toString('latin1', place + 1, end)
    place = end
  }
  return text
}

/** A name at a place of the message, in lower case and without final dot. @throws RangeError */
export function readName(message: Buffer, at: number): { readonly name: string; readonly end: number } {
  const labels: string[] = []
  let end: number | undefined
  let sizeBytes = 0
  let place = at
  for (;;) {
    const length = message.readUInt8(place)
    if (length >= 0xc0) {
      const target = message.readUInt16BE(place) & 0x3fff
      end ??= place + 2
      // Only backwards: it cannot go round (RFC 1035 §4.1.4).
      if (target >= place) throw new RangeError('a pointer that leads forward')
      place = target
      continue
    }
    if (length > 63) throw new RangeError('a label of an unknown kind')
    place += 1
    if (length === 0) return { name: labels.join('.').toLowerCase(), end: end ?? place }
    sizeBytes += length + 1
    if (sizeBytes > 254 || place + length > message.length) throw new RangeError('a name that is too long')
    labels.push(message.toString('latin1', place, place + length))
    place += length
  }
}

function decode(message: Buffer): DnsAnswer | undefined {
  const flags = message.readUInt16BE(2)
  const isAnswer = (flags & 0x8000) !== 0 && message.readUInt16BE(4) === 1
  if (!isAnswer) return undefined
  const { name, end } = readName(message, 12)
  const records: DnsRecord[] = []
  let place = end + 4
  const count = message.readUInt16BE(6)
  const truncated = (flags & 0x0200) !== 0
  for (let index = 0; index < count && !truncated; index++) {
    const { name: owner, end: at } = readName(message, place)
    const sizeBytes = message.readUInt16BE(at + 8)
    const data = message.subarray(at + 10, at + 10 + sizeBytes)
    if (data.length < sizeBytes) throw new RangeError('a record that is cut off')
    const type = message.readUInt16BE(at)
    records.push({ owner, type, ttlSeconds: message.readUInt32BE(at + 4), at: at + 10, data })
    place = at + 10 + sizeBytes
  }
  return {
    id: message.readUInt16BE(0),
    code: flags & 0x000f,
    truncated,
    authenticated: (flags & 0x0020) !== 0,
    question: { name, type: message.readUInt16BE(end) },
    records,
    message,
  }
}

function encodeName(name: string): Buffer {
  const labels = name.replace(/\.$/, '').split('.')
  const parts = labels.map((label) => {
    const octets = Buffer.from(label, 'latin1')
    if (octets.length === 0 || octets.length > 63) throw new RangeError(`no domain name: ${name}`)
    return Buffer.concat([Buffer.from([octets.length]), octets])
  })
  const encoded = Buffer.concat([...parts, Buffer.from([0])])
  if (encoded.length > 255) throw new RangeError(`no domain name: ${name}`)
  return encoded
}
