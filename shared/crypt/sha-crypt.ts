import { createHash } from 'node:crypto'

/** crypt(3) by SHA-256 (`$5$`) or SHA-512 (`$6$`), after Ulrich Drepper's specification of 2008. */
interface Variant {
  readonly hash: 'sha256' | 'sha512'
  readonly octets: number
  /** Octets of the digest in the order they are written, in groups of three; the last group is shorter. */
  readonly order: readonly (readonly number[])[]
}

const defaultRounds = 5_000
const minRounds = 1_000
/** Ours; the specification allows 999,999,999, which is a day of work for one login. */
export const maxRounds = 5_000_000
const maxSaltLength = 16
const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

const variants: Readonly<Record<string, Variant>> = {
  '5': { hash: 'sha256', octets: 32, order: outputOrder(10, [0, 10, 20], 2, [31, 30]) },
  '6': { hash: 'sha512', octets: 64, order: outputOrder(21, [0, 21, 42], 1, [63]) },
}

const settingPattern = /^\$([56])\$(?:rounds=(\d{1,9})\$)?([^$:\n]*)/

/** True for a string that starts like a hash or a setting of `$5$` or `$6$`. */
export function isShaCrypt(text: string): boolean {
  return settingPattern.test(text)
}

/**
 * The hash of a password with the scheme, rounds and salt of `setting` (a complete hash will do). Takes some 10 ms for the
 * default 5,000 rounds: run it off the event loop.
 * @throws RangeError when the setting is not one of `$5$` or `$6$`, or asks for more than `maxRounds`
 */
export function shaCrypt(password: string, setting: string): string {
  const parsed = settingPattern.exec(setting)
  const variant = variants[parsed?.[1] ?? '']
  if (parsed === null || variant === undefined) throw new RangeError('not a setting of SHA-256 or SHA-512 crypt')
  const asked = parsed[2] === undefined ? defaultRounds : Number(parsed[2])
  if (asked > maxRounds) throw new RangeError(`more than ${maxRounds} rounds`)
  const rounds = Math.max(asked, minRounds)
  const salt = (parsed[3] ?? '').slice(0, maxSaltLength)
  const digest = stretch(Buffer.from(password), Buffer.from(salt), rounds, variant)
  const shownRounds = parsed[2] === undefined ? '' : `rounds=${rounds}$`
  return `$${parsed[1]}$${shownRounds}${salt}$${encode(digest, variant)}`
}

function stretch(password: Buffer, salt: Buffer, rounds: number, variant: Variant): Buffer {
  const digest = (...parts: readonly Buffer[]): Buffer => {
    const hash = createHash(variant.hash)
    for (const part of parts) hash.update(part)
    return hash.digest()
  }
  const b = digest(password, salt, password)
  const a: Buffer[] = [password, salt, repeated(b, password.length)]
  for (let bits = password.length; bits > 0; bits >>= 1) a.push((bits & 1) === 1 ? b : password)
  let result = digest(...a)

  const p = repeated(digest(...Array.from({ length: password.length }, () => password)), password.length)
  const saltTimes = 16 + (result[0] ?? 0)
  const s = repeated(digest(...Array.from({ length: saltTimes }, () => salt)), salt.length)

  for (let round = 0; round < rounds; round += 1) {
    const odd = round % 2 === 1
    const parts = [odd ? p : result]
    if (round % 3 !== 0) parts.push(s)
    if (round % 7 !== 0) parts.push(p)
    parts.push(odd ? result : p)
    result = digest(Buffer.concat(parts))
  }
  return result
}

/** The octets of `source` over and over, `length` of them. */
function repeated(source: Buffer, length: number): Buffer {
  return Buffer.alloc(length, length === 0 ? undefined : source)
}

function encode(digest: Buffer, variant: Variant): string {
  let text = ''
  for (const group of variant.order) {
    let bits = 0
    for (const index of group) bits = (bits << 8) | (digest[index] ?? 0)
    for (let digit = 0; digit < group.length + 1; digit += 1) {
      text += alphabet[bits & 0x3f]
      bits >>= 6
    }
  }
  return text
}

/** Groups of three octets whose places rotate by `turn` from one group to the next; `rest` is the last, shorter group. */
function outputOrder(
  groups: number,
  first: readonly [number, number, number],
  turn: 1 | 2,
  rest: readonly number[],
): readonly (readonly number[])[] {
  const order: number[][] = []
  for (let group = 0; group < groups; group += 1) {
    const rotation = (group * turn) % 3
    order.push([0, 1, 2].map((place) => (first[(place + rotation) % 3] ?? 0) + group))
  }
  return [...order, [...rest]]
}
