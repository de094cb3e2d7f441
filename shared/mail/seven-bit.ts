import { isAscii } from 'node:buffer'

import { Base64Encoder, QuotedPrintableEncoder } from './body-encoders.ts'
import type { BodyEncoder } from './body-encoders.ts'
import { headerFields } from './header-edit.ts'
import { MimeScanner } from './mime-scanner.ts'
import type { MimeEntity, MimeListener } from './mime-scanner.ts'

/** What has to be done with an entity; `keep`: nothing. */
type Form = 'keep' | '7bit' | 'quoted-printable' | 'base64'

/** Which form each header section of a message, in order, stands for. */
export type SevenBitPlan = readonly Form[]

/** What a message needs to go through a host that takes octets below 128 only (RFC 6152 §3). */
export type SevenBitNeed =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'conversion'; readonly plan: SevenBitPlan }
  /** It is signed as it stands: DKIM, ARC, S/MIME, PGP. */
  | { readonly kind: 'signed'; readonly plan: SevenBitPlan }
  /** Its parts cannot be told from each other: too many, too deep, or labelled as what they are not. */
  | { readonly kind: 'unreadable' }

/** More parts than this are not planned for. */
const mostSections = 10_000

/**
 * Looks at a message, and finds what its parts need: text becomes quoted-printable, or base64 where over a third of it would be encoded; all else becomes base64.
 * The header fields themselves are not looked at: octets beyond ASCII in them cannot be encoded without knowing their charset, and go as they are.
 */
export class SevenBitSurvey {
  readonly #watch = new PartWatch()
  readonly #scanner = new MimeScanner(this.#watch)

  push(chunk: Buffer): void {
    this.#scanner.push(chunk)
  }

  end(): SevenBitNeed {
    this.#scanner.end()
    this.#watch.endPart()
    const { plan, isEightBit, isClear, isSigned } = this.#watch
    if (!this.#scanner.isReadable || !isClear) return { kind: 'unreadable' }
    if (!isEightBit) return { kind: 'nothing' }
    return { kind: isSigned ? 'signed' : 'conversion', plan }
  }
}

const signatureFields: ReadonlySet<string> = new Set([
  'dkim-signature',
  'domainkey-signature',
  'arc-seal',
  'arc-message-signature',
])
const mostLineBytes = 998

class PartWatch implements MimeListener {
  readonly plan: Form[] = []
  /** There is a part that needs another form for what is in it. */
  isEightBit = false
  isClear = true
  isSigned = false
  #leaf: MimeEntity | undefined
  #octets = 0
  #high = 0
  #lineBytes = 0
  #isLong = false
  #hasNull = false

  section(section: Buffer, entity: MimeEntity): void {
    this.endPart()
    if (this.plan.length === 0) this.isSigned = headerFields(section).some(({ name }) => signatureFields.has(name))
    this.isSigned ||= entity.type === 'multipart/signed'
    // Its parts are messages without saying so (RFC 2046 §5.1.5).
    this.isClear &&= entity.type !== 'multipart/digest' && this.plan.length < mostSections
    if (!this.isClear) return
    this.plan.push(entity.kind === 'leaf' ? 'keep' : relabelled(entity))
    this.#leaf = entity.kind === 'leaf' ? entity : undefined
  }

  body(octets: Buffer): void {
    this.#octets += octets.length
    if (!isAscii(octets)) for (const octet of octets) if (octet > 0x7f) this.#high += 1
    this.#hasNull ||= octets.includes(0)
    this.#measure(octets)
  }

  between(octets: Buffer): void {
    if (!isAscii(octets)) this.isEightBit = true
  }

  boundary(): void {
    this.endPart()
  }

  endPart(): void {
    const entity = this.#leaf
    if (entity !== undefined) this.#plan(entity)
    this.#leaf = undefined
    this.#octets = this.#high = this.#lineBytes = 0
    this.#isLong = this.#hasNull = false
  }

  #plan(entity: MimeEntity): void {
    const form = this.#form(entity)
    if (this.#high > 0) this.isEightBit = true
    this.plan[this.plan.length - 1] = form
    // A multipart is encoded part by part or not at all (RFC 2045 §6.4); one whose parts nobody can find is not.
    if (isEncoded(form) && (entity.type.startsWith('multipart/') || entity.type === 'message/partial'))
      this.isClear = false
  }

  #form({ type, encoding }: MimeEntity): Form {
    const isLabelled = encoding === '8bit' || encoding === 'binary'
    // What is labelled as encoded is not encoded twice.
    if (!isLabelled && (this.#high === 0 || (encoding !== '' && encoding !== '7bit'))) return 'keep'
    if (this.#high === 0 && !this.#isLong && !this.#hasNull) return '7bit'
    const isText = type === '' || type.startsWith('text/') || type.startsWith('message/')
    return isText && this.#high * 3 <= this.#octets ? 'quoted-printable' : 'base64'
  }

  #measure(octets: Buffer): void {
    let start = 0
    for (let end = octets.indexOf(0x0a); end >= 0; end = octets.indexOf(0x0a, start)) {
      // With the CR, and without the LF.
      this.#isLong ||= this.#lineBytes + end - start > mostLineBytes + 1
      this.#lineBytes = 0
      start = end + 1
    }
    this.#lineBytes += octets.length - start
    this.#isLong ||= this.#lineBytes > mostLineBytes + 1
  }
}

function relabelled({ encoding }: MimeEntity): Form {
  return encoding === '8bit' || encoding === 'binary' ? '7bit' : 'keep'
}

function isEncoded(form: Form): form is 'quoted-printable' | 'base64' {
  return form === 'quoted-printable' || form === 'base64'
}

/**
 * Rewrites a message by the plan that a survey of the same octets made: parts that are read as text or files mean the same octets as
 * before. What no reader shows, around the parts of a multipart, gets `?` for each octet beyond ASCII.
 */
export class SevenBitConverter {
  readonly #writer: PartWriter
  readonly #scanner: MimeScanner

  constructor(plan: SevenBitPlan) {
    this.#writer = new PartWriter(plan)
    this.#scanner = new MimeScanner(this.#writer)
  }

  push(chunk: Buffer): Buffer[] {
    this.#scanner.push(chunk)
    return this.#writer.take()
  }

  end(): Buffer[] {
    this.#scanner.end()
    this.#writer.endMessage()
    return this.#writer.take()
  }
}

class PartWriter implements MimeListener {
  readonly #plan: SevenBitPlan
  #sections = 0
  #form: Form = 'keep'
  #encoder: BodyEncoder | undefined
  #pieces: Buffer[] = []

  constructor(plan: SevenBitPlan) {
    this.#plan = plan
  }

  take(): Buffer[] {
    const pieces = this.#pieces
    this.#pieces = []
    return pieces
  }

  section(section: Buffer): void {
    this.#form = this.#plan[this.#sections] ?? 'keep'
    this.#pieces.push(this.#form === 'keep' ? section : withEncoding(section, this.#form, this.#sections === 0))
    this.#sections += 1
    if (this.#form === 'quoted-printable') this.#encoder = new QuotedPrintableEncoder()
    if (this.#form === 'base64') this.#encoder = new Base64Encoder()
  }

  body(octets: Buffer): void {
    this.#pieces.push(this.#encoder?.push(octets) ?? octets)
  }

  between(octets: Buffer): void {
    this.#pieces.push(isAscii(octets) ? octets : withoutHigh(octets))
  }

  boundary(octets: Buffer): void {
    this.#endPart()
    this.#pieces.push(octets)
  }

  endMessage(): void {
    const needsLineEnd = this.#encoder !== undefined && this.#form === 'base64'
    this.#endPart()
    if (needsLineEnd) this.#pieces.push(Buffer.from('\r\n'))
  }

  #endPart(): void {
    if (this.#encoder !== undefined) this.#pieces.push(this.#encoder.end())
    this.#encoder = undefined
  }
}

/** The section with another Content-Transfer-Encoding, in the place of the first one. */
function withEncoding(section: Buffer, form: Form, isTop: boolean): Buffer {
  const fields = headerFields(section)
  const length = fields.reduce((sum, { raw }) => sum + raw.length, 0)
  const stated = fields.findIndex(({ name }) => name === 'content-transfer-encoding')
  const field = Buffer.from(`Content-Transfer-Encoding: ${form}\r\n`)
  const kept = fields.flatMap(({ name, raw }, index) => {
    if (index === stated) return [field]
    return name === 'content-transfer-encoding' ? [] : [raw]
  })
  const isMime = !isTop || fields.some(({ name }) => name === 'mime-version')
  const added = [...(stated < 0 ? [field] : []), ...(isMime ? [] : [Buffer.from('MIME-Version: 1.0\r\n')])]
  return Buffer.concat([...kept, ...added, section.subarray(length)])
}

function withoutHigh(octets: Buffer): Buffer {
  return Buffer.from(octets.map((octet) => (octet > 0x7f ? 0x3f : octet)))
}
