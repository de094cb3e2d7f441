import type { Span } from './diagnostic.ts'
import type { PipelineSettings, SocketPlace } from './model.ts'
import { resolvePath } from './path.ts'
import type { NamedFile, PolicyDraft } from './policy-draft.ts'
import { parseSize } from './quantity.ts'
import { parsePlace } from './socket-place.ts'
import type { TokenReader } from './token-reader.ts'

/** Settings as pipeline.conf is read, its hostname, and the files it names. */
export interface PipelineDraft {
  readonly policy: PolicyDraft
  readonly reader: TokenReader
  readonly files: NamedFile[]
  hostname: string | undefined
  /** Statements that were there, to refuse a second one and to tell a default from a wish. */
  readonly stated: Set<string>
  /** Where they stand, by their first word. */
  readonly statedAt: Map<string, Span>
  settings: PipelineSettings
}

/** Reads one statement, its first word included, into the draft. */
export type ParseStatement = (draft: PipelineDraft) => void

export function finish(draft: PipelineDraft, change: Partial<PipelineSettings>): void {
  draft.reader.endOfStatement()
  draft.settings = { ...draft.settings, ...change }
}

export function refuse(reader: TokenReader, what: string, instead: string): never {
  return reader.fail('unsupported', `${what} is not supported by this version`, reader.peek().span, instead)
}

export function namedFile(draft: PipelineDraft, what: string): string {
  const file = draft.reader.string(`the file of ${what}`)
  const path = resolvePath(file.text, file.span.file)
  draft.files.push({ path, what, span: file.span })
  return path
}

export function mapping(reader: TokenReader, from: string, to: string): readonly [string, string] {
  reader.next()
  const name = reader.string(from).text
  reader.expect('is', `behind ${from}`)
  return [name, reader.string(to).text]
}

export function listenOf(reader: TokenReader): { readonly host: string; readonly port: number } {
  reader.expect('listen', 'here')
  const place = reader.string('"host:port"')
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(place.text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535) {
    return reader.fail('value', `"${place.text}" is not host:port`, place.span, '"127.0.0.1:8080" or "[::]:8080"')
  }
  return { host, port: Number(port) }
}

/** `"host:port"`, `"[::1]:port"`, or the path of a unix socket. */
export function placeOf(reader: TokenReader, what: string): SocketPlace {
  const place = reader.string(what)
  const parsed = parsePlace(place.text)
  if (parsed !== undefined) return parsed
  return reader.fail('value', `"${place.text}" is no place of ${what}`, place.span, '"host:port" or "/path/of/socket"')
}

export function choiceOf<Choice extends string>(reader: TokenReader, known: readonly Choice[], what: string): Choice {
  const { text } = reader.peek()
  const choice = reader.peek().kind === 'number' ? undefined : known.find((one) => one === text)
  if (choice === undefined) return reader.unexpected(what, known)
  reader.next()
  return choice
}

export function tagOf(reader: TokenReader): string {
  const name = reader.string('a tag')
  if (!/^[\x21-\x7e]{1,32}$/.test(name.text)) reader.fail('value', 'a tag has 1 to 32 visible characters', name.span)
  return name.text
}

export function positive(reader: TokenReader): number {
  const { value, span } = reader.number('a number')
  if (value < 1) reader.fail('value', 'it must be at least 1', span)
  return value
}

export function scoreOf(reader: TokenReader): number {
  const token = reader.peek()
  const score = Number(token.text)
  if (!['number', 'word', 'string'].includes(token.kind) || token.text === '' || !Number.isFinite(score)) {
    return reader.fail('value', `"${token.text}" is not a score`, token.span, 'a number: 5.0')
  }
  reader.next()
  return score
}

export function sizeOf(reader: TokenReader): number {
  const token: { readonly text: string; readonly span: Span } = reader.peek()
  const octets = parseSize(token.text)
  if (octets === undefined || octets < 1)
    return reader.fail('value', `"${token.text}" is not a size`, token.span, '10G')
  reader.next()
  return octets
}
