/** The little of RFC 1035 a scripted name server needs: questions in, resource records out; no compression on the way out. */
export const types = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  TLSA: 52,
} as const

export type RecordType = keyof typeof types

export const responseCodes = { noError: 0, serverFailure: 2, nameError: 3, refused: 5 } as const

export interface Question {
  readonly id: number
  readonly recursionDesired: boolean
  /** Lower case, no final dot. */
  readonly name: string
  readonly type: number
  /** The question section as it came, to be echoed (0x20 case included). */
  readonly section: Buffer
  /** EDNS payload size (RFC 6891), or 512. */
  readonly udpSize: number
}

export interface Answer {
  readonly name: string
  readonly type: RecordType
  readonly ttl: number
  readonly data: Buffer
}

/** `undefined` when it is not one plain question. */
export function readQuestion(message: Buffer): Question | undefined {
  if (message.length < 17 || message.readUInt16BE(4) !== 1) return undefined
  const labels: string[] = []
  let at = 12
  for (let length = message[at]; length !== undefined && length > 0; length = message[at]) {
    if (length > 63) return undefined
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  if (at + 5 > message.length) return undefined
  return {
    id: message.readUInt16BE(0),
    recursionDesired: (message.readUInt16BE(2) & 0x0100) !== 0,
    name: labels.join('.').toLowerCase(),
    type: message.readUInt16BE(at + 1),
    section: message.subarray(12, at + 5),
    udpSize: ednsSize(message, at + 5),
  }
}

export function writeAnswer(
  question: Question,
  code: number,
  answers: readonly Answer[],
  flags: { readonly truncated?: boolean; readonly authenticated?: boolean } = {},
): Buffer {
  const { truncated = false, authenticated = false } = flags
  const header = Buffer.alloc(12)
  header.writeUInt16BE(question.id, 0)
  // QR, AA, TC, RD as asked, RA, AD, RCODE
  const ofServer = 0x8480 | (truncated ? 0x0200 : 0) | (authenticated ? 0x0020 : 0)
  header.writeUInt16BE(ofServer | (question.recursionDesired ? 0x0100 : 0) | code, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(truncated ? 0 : answers.length, 6)
  return Buffer.concat([header, question.section, ...(truncated ? [] : answers.map(writeRecord))])
}

export function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  const parts = labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]))
  return Buffer.concat([...parts, Buffer.from([0])])
}

/** One character string of at most 255 octets after another (RFC 1035 §3.3.14). */
export function encodeText(text: string): Buffer {
  const octets = Buffer.from(text, 'utf8')
  const parts: Buffer[] = []
  for (let at = 0; at < octets.length || at === 0; at += 255) {
    const part = octets.subarray(at, at + 255)
    parts.push(Buffer.from([part.length]), part)
  }
  return Buffer.concat(parts)
}

export function encodeAddress(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const left = head.split(':').filter((group) => group !== '')
  const right = (tail ?? '').split(':').filter((group) => group !== '')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return Buffer.from([...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function writeRecord(answer: Answer): Buffer {
  const name = encodeName(answer.name)
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(types[answer.type], 0)
  fixed.writeUInt16BE(1, 2)
  fixed.writeUInt32BE(answer.ttl, 4)
  fixed.writeUInt16BE(answer.data.length, 8)
  return Buffer.concat([name, fixed, answer.data])
}

function ednsSize(message: Buffer, at: number): number {
  const isOpt = message.readUInt16BE(10) > 0 && message[at] === 0 && message.length >= at + 5
  return isOpt && message.readUInt16BE(at + 1) === 41 ? Math.max(512, message.readUInt16BE(at + 3)) : 512
}
