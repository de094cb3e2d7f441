import { MimeBoundaries, mediaType, mostMimeDepth, structureOf } from '../../../shared/mail/mime-boundaries.ts'
import { parameters, partFields } from '../../../shared/mail/mime-fields.ts'
import { kindBytes, kindOf } from './file-kind.ts'
import type { LookKind } from './file-kind.ts'
import type { FoundFile } from './found-file.ts'

/** What a message consists of, in order: of attached files, the octets. */
export type WalkEvent =
  | FoundFile
  | { readonly kind: 'open'; readonly look: LookKind | undefined; readonly name: string }
  | { readonly kind: 'octets'; readonly octets: Buffer }
  | { readonly kind: 'close' }

/** Beyond these a message is no mail anybody means to read; what is later is not looked at. */
const mostParts = 10_000
const mostHeaderBytes = 65_536
const mostLineBytes = 65_536
/** So much base64 text is decoded at once. */
const batchBytes = 49_152
/** And so much to see what it is. */
const firstBytes = 256

/** What is known of the part whose body comes along. */
interface Body {
  readonly encoding: 'base64' | 'quoted-printable' | 'none'
  readonly name: string
  /** Encoded text that waits for more. */
  pending: string
  /** Decoded octets that are too few to tell what it is. */
  head: Buffer
  /** First decoded octets were looked at. */
  isKnown: boolean
  look: LookKind | undefined
  /** Its octets are: nobody opens a text without a name as a file. */
  isWanted: boolean
}

/**
 * Goes through a message once, as its octets come along, and tells the names and types of its parts: those the fields state, those
 * the first octets give away, those of uuencoded files; of files the octets. Never more than a line and a batch in memory.
 */
export class MimeWalk {
  readonly #boundaries = new MimeBoundaries()
  #rest: Buffer = Buffer.alloc(0)
  #header: string[] | undefined = []
  #headerBytes = 0
  #parts = 1
  #body: Body | undefined
  #found: WalkEvent[] = []
  readonly #limits = new Set<string>()

  /** What was found in these octets. */
  write(chunk: Buffer): readonly WalkEvent[] {
    const all = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let from = 0
    for (;;) {
      const end = all.indexOf(0x0a, from)
      if (end < 0) break
      this.#line(all.toString('latin1', from, end))
      from = end + 1
    }
    this.#rest = all.subarray(from)
    if (this.#rest.length > mostLineBytes) {
      this.#line(this.#rest.toString('latin1'))
      this.#rest = Buffer.alloc(0)
    }
    return this.#take()
  }

  end(): readonly WalkEvent[] {
    if (this.#rest.length > 0) this.#line(this.#rest.toString('latin1'))
    if (this.#header !== undefined) this.#endHeader()
    this.#endBody()
    return this.#take()
  }

  #take(): readonly WalkEvent[] {
    const found = this.#found
    this.#found = []
    return found
  }

  #line(raw: string): void {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw
    if (line.startsWith('--') && this.#atBoundary(line)) return
    if (this.#header === undefined) return this.#bodyLine(line)
    if (line === '') return this.#endHeader()
    this.#headerBytes += line.length
    if (this.#headerBytes <= mostHeaderBytes) this.#header.push(line)
  }

  #atBoundary(line: string): boolean {
    const boundary = this.#boundaries.at(line)
    if (boundary === undefined) return false
    if (this.#header !== undefined) this.#endHeader()
    this.#endBody()
    this.#boundaries.pass(boundary)
    this.#parts += 1
    if (this.#parts > mostParts) this.#reach(`more than ${mostParts} parts`)
    this.#startHeader(boundary.kind === 'part' && this.#parts <= mostParts)
    return true
  }

  /** What is behind a limit is not looked at: that is told once. */
  #reach(limit: string): void {
    if (this.#limits.has(limit)) return
    this.#limits.add(limit)
    this.#found.push({ kind: 'limit', text: limit })
  }

  #startHeader(isWanted: boolean): void {
    this.#header = isWanted ? [] : undefined
    this.#headerBytes = 0
  }

  #endHeader(): void {
    const fields = partFields((this.#header ?? []).join('\n'))
    this.#startHeader(false)
    const names = new Set<string>()
    let encoding: Body['encoding'] = 'none'
    const { boundaries, isMessage } = structureOf(fields)
    for (const boundary of boundaries)
      if (!this.#boundaries.enter(boundary)) this.#reach(`parts more than ${mostMimeDepth} deep`)
    for (const { name, value } of fields) {
      if (name === 'content-transfer-encoding') encoding = encodingOf(value)
      if (name !== 'content-type' && name !== 'content-disposition') continue
      const given = parameters(value)
      for (const one of [...(given.get('name') ?? []), ...(given.get('filename') ?? [])]) names.add(one)
      if (name === 'content-disposition') continue
      const type = mediaType(value)
      if (type !== '') this.#found.push({ kind: 'type', text: type })
    }
    for (const text of names) this.#found.push({ kind: 'name', text })
    if (isMessage && encoding === 'none') return this.#startHeader(true)
    this.#body = {
      encoding,
      name: [...names][0] ?? '',
      pending: '',
      head: Buffer.alloc(0),
      isKnown: false,
      look: isMessage ? 'message' : undefined,
      isWanted: isMessage || names.size > 0 || encoding === 'base64',
    }
  }

  #bodyLine(line: string): void {
    const body = this.#body
    if (body === undefined) return
    if (body.encoding === 'none' && line.startsWith('begin ')) {
      const name = /^begin [0-7]{3,4} (.{1,255})$/.exec(line)?.[1]
      if (name !== undefined) this.#found.push({ kind: 'name', text: name })
    }
    if (body.isKnown && !body.isWanted) return
    body.pending += body.encoding === 'base64' ? line : `${line}\r\n`
    if (body.pending.length >= (body.isKnown ? batchBytes : firstBytes)) this.#decode(body, false)
  }

  #endBody(): void {
    if (this.#body !== undefined) this.#decode(this.#body, true)
    this.#body = undefined
  }

  #decode(body: Body, isLast: boolean): void {
    const { octets: more, rest } = decoded(body, isLast)
    const octets = body.head.length === 0 ? more : Buffer.concat([body.head, more])
    body.pending = rest
    if (!body.isKnown) {
      body.head = octets
      if (octets.length < kindBytes && !isLast) return
      this.#know(body)
    }
    if (!body.isWanted) return
    if (octets.length > 0) this.#found.push({ kind: 'octets', octets })
    if (isLast) this.#found.push({ kind: 'close' })
  }

  #know(body: Body): void {
    const { type, look, unreadable } = kindOf(body.head, body.name)
    body.isKnown = true
    body.head = Buffer.alloc(0)
    body.look ??= look
    body.isWanted ||= look !== undefined
    if (type !== undefined) this.#found.push({ kind: 'type', text: type })
    if (unreadable) this.#found.push({ kind: 'unreadable', text: body.name })
    if (body.isWanted) this.#found.push({ kind: 'open', look: body.look, name: body.name })
  }
}

function encodingOf(value: string): Body['encoding'] {
  const word = value.toLowerCase()
  if (word.startsWith('base64')) return 'base64'
  return word.startsWith('quoted-printable') ? 'quoted-printable' : 'none'
}

/** Base64 in whole groups of four letters; what is over waits. */
function decoded({ encoding, pending }: Body, isLast: boolean): { readonly octets: Buffer; readonly rest: string } {
  if (encoding === 'none') return { octets: Buffer.from(pending, 'latin1'), rest: '' }
  if (encoding === 'quoted-printable') {
    const text = pending
      .replaceAll(/=[ \t]*\r\n/g, '')
      .replaceAll(/=([0-9A-Fa-f]{2})/g, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    return { octets: Buffer.from(text, 'latin1'), rest: '' }
  }
  const letters = pending.replaceAll(/[^A-Za-z0-9+/]/g, '')
  const whole = isLast ? letters.length : letters.length - (letters.length % 4)
  return { octets: Buffer.from(letters.slice(0, whole), 'base64'), rest: letters.slice(whole) }
}
