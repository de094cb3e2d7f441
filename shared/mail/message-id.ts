import { createHash, randomBytes } from 'node:crypto'

/** Sluice's own id of an accepted message: 18 characters [0-9a-z], sortable by time of acceptance. Not the Message-ID header. */
export type MessageId = string & { readonly __brand: 'MessageId' }

const timeLength = 9
const randomLength = 9

/** A new id: 9 base-36 digits of the epoch milliseconds, `m` (BullMQ refuses a job id of digits only), 8 random ones. */
export function newMessageId(nowAt: number): MessageId {
  return compose(nowAt, randomBits())
}

/** The same id for the same cause: a DSN that is written twice after a crash is one message. Time part as of `parent`. */
export function derivedMessageId(parent: MessageId, cause: string): MessageId {
  const hash = createHash('sha256').update(`${parent}/${cause}`).digest()
  return compose(acceptedAtOf(parent), hash.readUIntBE(0, 6))
}

/** No id of a message: the parent of ids that follow from a moment, epoch ms, and their cause alone. */
export function parentIdAt(at: number): MessageId {
  return compose(at, 0)
}

/** The epoch milliseconds an id was made at. */
export function acceptedAtOf(id: MessageId): number {
  return Number.parseInt(id.slice(0, timeLength), 36)
}

export function isMessageId(text: string): text is MessageId {
  return /^[0-9a-z]{18}$/.test(text) && /[a-z]/.test(text)
}

/** 48 random bits. Drawn for many ids at once: a system call for each would show in the profile. */
let pool = Buffer.alloc(0)

function randomBits(): number {
  if (pool.length < 6) pool = randomBytes(6 * 512)
  const bits = pool.readUIntBE(0, 6)
  pool = pool.subarray(6)
  return bits
}

function compose(at: number, bits: number): MessageId {
  const time = at.toString(36).padStart(timeLength, '0')
  const tail = (bits % 36 ** (randomLength - 1)).toString(36).padStart(randomLength - 1, '0')
  return `${time}m${tail}` as MessageId
}
