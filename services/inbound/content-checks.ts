import { isUtf8 } from 'node:buffer'

import type { BodyAction, ContentRules, HeaderAction, Listener } from '../../shared/config/model.ts'
import { MimeBoundaries, structureOf } from '../../shared/mail/mime-boundaries.ts'
import { partFields } from '../../shared/mail/mime-fields.ts'
import { replies, SmtpError } from '../../shared/mail/reply.ts'
import type { IncomingContent } from '../../shared/spool/spool.ts'
import { isOfMime, subjectOf } from './header-checks.ts'
import { RuleSearch, compileBodyRules, compileHeaderRules, longestSubject } from './match-rules.ts'
import type { CompiledRule, Findings } from './match-rules.ts'

/** Puts the rules for what stands behind the header before the content of one message. */
export type CheckContent = (content: ContentSink) => CheckedContent

export type ContentSink = Pick<IncomingContent, 'write' | 'abort'>

/**
 * `mime-header match`, `nested-header match` and `body match` for a listener; absent: no rule is for it.
 * @param maxBytes beyond them no rule makes a message longer
 */
export function contentChecks(rules: ContentRules, listener: Listener, maxBytes: number): CheckContent | undefined {
  const own: Rules = {
    mime: compileHeaderRules(rules.mimeHeader, listener),
    nested: compileHeaderRules(rules.nestedHeader, listener),
    body: compileBodyRules(rules.body, listener),
    bodyBytes: rules.bodyBytes,
    maxBytes,
  }
  const count = own.mime.length + own.nested.length + own.body.length
  return count === 0 ? undefined : (content) => new CheckedContent(content, own)
}

interface Rules {
  readonly mime: readonly CompiledRule<HeaderAction>[]
  readonly nested: readonly CompiledRule<HeaderAction>[]
  readonly body: readonly CompiledRule<BodyAction>[]
  readonly bodyBytes: number
  readonly maxBytes: number
}

/** Longer fields are compared by their beginning, and the end shares its fate; longer lines are lines of this length each. */
const mostKeptBytes = 65_536
/** So much is written at once, however much rules add. */
const writtenBytes = 65_536

const colon = 0x3a
const dash = 0x2d
const lineFeed = 0x0a
const lineEnd = Buffer.from('\r\n')

/**
 * Content on its way to the spool, compared with rules line by line: what they take out or put in is so on disk. No more than a
 * field or a line is kept back. The header of the message itself goes through untouched.
 */
export class CheckedContent implements ContentSink {
  readonly #content: ContentSink
  readonly #rules: Rules
  readonly #search = new RuleSearch()
  readonly #boundaries = new MimeBoundaries()
  #out: Buffer[] = []
  #outBytes = 0
  /** Octets that have come, and octets that go on to the spool. */
  #readBytes = 0
  #keptBytes = 0
  /** Octets of a line that has not ended. */
  #rest: Buffer = Buffer.alloc(0)
  #midLine = false
  #section: 'own' | 'part' | 'attached' | 'body' = 'own'
  /** Lines of the field that may go on. */
  #field: Buffer[] = []
  #fieldBytes = 0
  /** What becomes of the lines of a field that was too long to wait for its end. */
  #longField: 'keep' | 'drop' | undefined
  /** Fields of this header section that tell its structure. */
  #structure: Buffer[] = []
  /** Octets of this part that have been looked at. */
  #seenBytes = 0
  /** Inside a line that was too long to wait for its end: whether some of it stays. */
  #begun: { readonly stays: boolean } | undefined

  constructor(content: ContentSink, rules: Rules) {
    this.#content = content
    this.#rules = rules
  }

  get findings(): Findings {
    return this.#search.findings
  }

  /** Decoded content; one at a time. @throws SmtpError when a rule refuses it */
  async write(chunk: Buffer): Promise<void> {
    this.#readBytes += chunk.length
    const all = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let from = 0
    for (;;) {
      const end = all.indexOf(lineFeed, from)
      if (end < 0) break
      await this.#line(all.subarray(from, end + 1))
      from = end + 1
      if (this.#outBytes >= writtenBytes) await this.#flush()
    }
    this.#rest = all.subarray(from)
    if (this.#rest.length > mostKeptBytes) await this.#takeRest()
    await this.#flush()
  }

  /** Resolves when all is written. @throws SmtpError when a rule refuses it */
  async end(): Promise<void> {
    await this.#takeRest()
    await this.#endField()
    await this.#flush()
  }

  abort(): Promise<void> {
    return this.#content.abort()
  }

  async #takeRest(): Promise<void> {
    const rest = this.#rest
    this.#rest = Buffer.alloc(0)
    if (rest.length > 0) await this.#line(rest)
  }

  async #flush(): Promise<void> {
    const out = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out)
    this.#out = []
    this.#keptBytes += this.#outBytes
    this.#outBytes = 0
    if (out !== undefined && out.length > 0) await this.#content.write(out)
  }

  /** @throws SmtpError when rules have made the message longer than it may be */
  #put(...pieces: readonly Buffer[]): void {
    for (const piece of pieces) this.#outBytes += piece.length
    this.#out.push(...pieces)
    if (this.#keptBytes + this.#outBytes <= Math.max(this.#rules.maxBytes, this.#readBytes)) return
    throw new SmtpError(replies.messageTooBig)
  }

  /** A line with its end, or what there is of one. */
  async #line(line: Buffer): Promise<void> {
    if (this.#search.isOver) return this.#put(line)
    const goesOn = this.#midLine
    this.#midLine = line.at(-1) !== lineFeed
    if (goesOn) return this.#section === 'body' ? this.#bodyLine(line) : this.#fieldLine(line)
    if (line[0] === dash && line[1] === dash && (await this.#atBoundary(line))) return
    if (this.#section === 'body') return this.#bodyLine(line)
    const first = line[0]
    if ((first === 0x20 || first === 0x09) && (this.#field.length > 0 || this.#longField !== undefined))
      return this.#fieldLine(line)
    await this.#endField()
    if (line.equals(lineEnd)) {
      this.#put(line)
      this.#endHeader()
      return
    }
    if (this.#section === 'own' || beginsField(line)) return this.#fieldLine(line)
    // No field can follow (RFC 5322 §2.2): readers take it for the beginning of the body.
    const begun = this.#endHeader()
    await (begun === 'body' ? this.#bodyLine(line) : this.#fieldLine(line))
  }

  async #fieldLine(line: Buffer): Promise<void> {
    if (this.#longField !== undefined) return this.#longField === 'keep' ? this.#put(line) : undefined
    this.#field.push(line)
    this.#fieldBytes += line.length
    if (this.#fieldBytes <= mostKeptBytes) return
    this.#longField = (await this.#endField()) ? 'keep' : 'drop'
  }

  /** Whether the field stays. */
  async #endField(): Promise<boolean> {
    this.#longField = undefined
    if (this.#field.length === 0) return true
    const raw = Buffer.concat(this.#field)
    this.#field = []
    this.#fieldBytes = 0
    const name = nameOf(raw)
    if (name === 'content-type' || name === 'content-transfer-encoding') this.#structure.push(raw)
    const action = this.#section === 'own' ? undefined : await this.#fieldAction(raw, name)
    if (action?.kind === 'prepend' || action?.kind === 'replace') this.#put(Buffer.from(`${action.field}\r\n`))
    const stays = action?.kind !== 'ignore' && action?.kind !== 'replace'
    if (stays) this.#put(raw)
    return stays
  }

  async #fieldAction(raw: Buffer, name: string): Promise<HeaderAction | undefined> {
    const ofMime = this.#section === 'part' || isOfMime(name)
    const rules = ofMime ? this.#rules.mime : this.#rules.nested
    const action = await this.#search.find(rules, subjectOf(raw), ofMime ? 'mime-header match' : 'nested-header match')
    this.#refuse()
    return action
  }

  #refuse(): void {
    if (this.#search.refusal !== undefined) throw new SmtpError(this.#search.refusal)
  }

  /** The body it announces, or the header of an attached message, begins. */
  #endHeader(): 'attached' | 'body' {
    const fields = partFields(Buffer.concat(this.#structure).toString('latin1'))
    this.#structure = []
    const { boundaries, isMessage } = structureOf(fields)
    for (const boundary of boundaries) this.#boundaries.enter(boundary)
    const isEncoded = fields.some(
      ({ name, value }) => name === 'content-transfer-encoding' && /^(?:base64|quoted-printable)/i.test(value),
    )
    const begun = isMessage && !isEncoded ? 'attached' : 'body'
    this.#section = begun
    this.#seenBytes = 0
    return begun
  }

  async #atBoundary(line: Buffer): Promise<boolean> {
    const boundary = this.#boundaries.at(line.toString('latin1'))
    if (boundary === undefined) return false
    if (this.#section !== 'body') {
      await this.#endField()
      this.#endHeader()
    }
    this.#boundaries.pass(boundary)
    this.#section = boundary.kind === 'part' ? 'part' : 'body'
    this.#seenBytes = 0
    this.#put(line)
    return true
  }

  async #bodyLine(line: Buffer): Promise<void> {
    const hasEnd = line.at(-1) === lineFeed
    const text = hasEnd ? line.subarray(0, -lineEnd.length) : line
    const goesOn = this.#begun !== undefined
    const action = await this.#bodyAction(text, goesOn)
    this.#refuse()
    if (action?.kind === 'prepend') this.#put(...(goesOn ? [lineEnd] : []), octetsOf(action.line, text), lineEnd)
    if (action?.kind === 'replace') this.#put(octetsOf(action.line, text))
    else if (action?.kind !== 'ignore') this.#put(text)
    const stays = this.#begun?.stays === true || action?.kind !== 'ignore'
    this.#begun = hasEnd ? undefined : { stays }
    if (hasEnd && stays) this.#put(lineEnd)
  }

  /** Of the first piece of the line that a rule matches. */
  async #bodyAction(text: Buffer, goesOn: boolean): Promise<BodyAction | undefined> {
    const { body, bodyBytes } = this.#rules
    // The end of a long line, alone.
    if (body.length === 0 || (goesOn && text.length === 0)) return undefined
    let from = 0
    do {
      if (this.#seenBytes >= bodyBytes) return undefined
      const end = pieceEnd(text, from)
      this.#seenBytes += end - from + lineEnd.length
      const action = await this.#search.find(body, readPiece(text.subarray(from, end)), 'body match')
      if (action !== undefined) return action
      from = end
    } while (from < text.length)
    return undefined
  }
}

/** Text of a rule, with what it took from the line in the line's own charset. */
function octetsOf(written: string, line: Buffer): Buffer {
  return Buffer.from(written, isUtf8(line) || /[^\x00-\xff]/.test(written) ? 'utf8' : 'latin1')
}

function readPiece(piece: Buffer): string {
  return piece.toString(isUtf8(piece) ? 'utf8' : 'latin1')
}

/** Where the piece of a line ends that is compared at once; no character of UTF-8 is cut. */
function pieceEnd(text: Buffer, from: number): number {
  if (text.length - from <= longestSubject) return text.length
  let end = from + longestSubject
  for (let back = 0; back < 3 && ((text[end] ?? 0) & 0xc0) === 0x80; back += 1) end -= 1
  return end
}

/** RFC 5322 §2.2 */
function beginsField(line: Buffer): boolean {
  return /^[\x21-\x39\x3b-\x7e]+[ \t]*:/.test(line.toString('latin1', 0, 1_000))
}

function nameOf(raw: Buffer): string {
  const end = raw.indexOf(colon)
  return end < 0 ? '' : raw.toString('latin1', 0, end).trimEnd().toLowerCase()
}
