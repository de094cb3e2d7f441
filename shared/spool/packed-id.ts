import type { MessageId } from '../mail/message-id.ts'

/** A message id (18 digits of base 36) as three unsigned 32-bit numbers: six digits fit each. Exact, not a hash. */
export interface PackedId {
  readonly a: number
  readonly b: number
  readonly c: number
}

const part = 6

export function packId(id: MessageId): PackedId {
  return {
    a: Number.parseInt(id.slice(0, part), 36),
    b: Number.parseInt(id.slice(part, 2 * part), 36),
    c: Number.parseInt(id.slice(2 * part), 36),
  }
}

export function unpackId({ a, b, c }: PackedId): MessageId {
  return `${digits(a)}${digits(b)}${digits(c)}` as MessageId
}

function digits(value: number): string {
  return value.toString(36).padStart(part, '0')
}
