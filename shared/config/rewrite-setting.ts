import { modernKeywords } from './keywords.ts'
import { quoteString, type Token } from './lexer.ts'
import type { Listener } from './model.ts'

/** The first words of statements that were renamed and are else the same. */
const renamed: Readonly<Record<string, string>> = {
  expire: 'queue ttl',
  'bounce-warn': 'bounce warn-interval',
  'max-message-size': 'smtp max-message-size',
  'max-mta-deferred': 'mta max-deferred',
  'subaddressing-delimiter': 'smtp sub-addr-delim',
  ciphers: 'smtp ciphers',
}

const limitOf: Readonly<Record<string, string>> = { session: 'smtp', mta: 'mta', mda: 'mda', scheduler: 'scheduler' }

/** What takes the place of an old statement that is no rule; `undefined`: it stays as it is. */
export function rewriteSetting(
  tokens: readonly Token[],
  source: string,
  listener: Listener | undefined,
): readonly string[] | undefined {
  const [first, second] = tokens
  if (first === undefined) return undefined
  const write = (words: Words): string => writeTokens(tokens, source, words)
  switch (first.kind === 'string' ? '' : first.text) {
    case 'listen':
      return listenLines(tokens, source, listener)
    case 'pki':
      return pkiLines(tokens, source)
    case 'ca':
      return [write(new Map([[2, 'cert']]))]
    case 'curve':
      return [`# no longer needed: ${tokens.map(({ text }) => text).join(' ')}`]
    case 'limit':
      return [
        write(
          new Map([
            [0, limitOf[second?.text ?? ''] ?? 'smtp'],
            [1, 'limit'],
          ]),
        ),
      ]
    case 'queue':
      return [write(tokens[2]?.text === 'key' ? new Map([[2, '']]) : new Map())]
    case 'bounce-warn':
      if (second === undefined) return ['# no warnings were sent: bounce-warn']
  }
  const name = Object.hasOwn(renamed, first.text) ? renamed[first.text] : undefined
  const whole = write(name === undefined ? new Map() : new Map([[0, name]]))
  return [whole]
}

/** By the index of the token: what is written instead of it. */
type Words = ReadonlyMap<number, string>

function listenLines(tokens: readonly Token[], source: string, listener: Listener | undefined): readonly string[] {
  const words = new Map<number, string>()
  const secure = tokens.findIndex((token) => token.kind !== 'string' && token.text === 'secure')
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'keyword' && token.text === 'mask-source') words.set(index, 'mask-src')
  }
  const hasPki = tokens.some((token) => token.kind === 'keyword' && token.text === 'pki')
  const pki = hasPki ? '' : (listener?.pkis ?? []).map((name) => ` pki ${quoteString(name)}`).join('')
  if (secure < 0) return [writeTokens(tokens, source, words) + pki]
  return ['tls', 'smtps'].map((mode) => writeTokens(tokens, source, new Map([...words, [secure, mode]])) + pki)
}

/** A ca inside a pki becomes a statement of its own; files of DH parameters are no longer read. */
function pkiLines(tokens: readonly Token[], source: string): readonly string[] {
  const words = new Map<number, string>()
  const separate: string[] = []
  const name = tokens[1]
  for (let index = 2; index < tokens.length; index += 2) {
    const option = tokens[index]?.text
    if (option === 'certificate') words.set(index, 'cert')
    if (option !== 'ca' && option !== 'dhparams') continue
    words.set(index, '').set(index + 1, '')
    const file = quoteString(tokens[index + 1]?.text ?? '')
    separate.push(
      option === 'ca' ? `ca ${quoteString(name?.text ?? '')} cert ${file}` : `# no longer read: dhparams ${file}`,
    )
  }
  const kept = [...words.values()].filter((word) => word === '').length < tokens.length - 2
  return [...(kept ? [writeTokens(tokens, source, words).trimEnd()] : []), ...separate]
}

/** The statement as it stood, blanks and macros too, but for the words to change. A macro with such a word is written out. */
function writeTokens(tokens: readonly Token[], source: string, words: Words): string {
  const parts: string[] = []
  let before: Token | undefined
  for (let index = 0; index < tokens.length;) {
    const token = tokens[index]
    if (token === undefined) break
    const end = endOfGroup(tokens, index)
    if (before !== undefined) parts.push(source.slice(before.to, token.from))
    const changed = tokens.slice(index, end).map((one, offset) => words.get(index + offset) ?? reserved(one, before))
    const asItStood = source.slice(token.from, token.to)
    const written = tokens
      .slice(index, end)
      .map((one, offset) => changed[offset] ?? writtenOut(one, end - index, asItStood))
    parts.push(changed.every((one) => one === undefined) ? asItStood : written.filter((one) => one !== '').join(' '))
    before = token
    index = end
  }
  return parts.join('')
}

/** Tokens of one macro share their place. */
function endOfGroup(tokens: readonly Token[], begin: number): number {
  let end = begin + 1
  while (tokens[end] !== undefined && tokens[end]?.from === tokens[begin]?.from) end += 1
  return end
}

/** A name that is a keyword now needs quotes; a port may be one. */
function reserved({ kind, text }: Token, before: Token | undefined): string | undefined {
  if (before?.text === 'port') return undefined
  return kind === 'word' && modernKeywords.has(text) ? quoteString(text) : undefined
}

function writtenOut({ kind, text }: Token, group: number, asItStood: string): string {
  if (group === 1 && !asItStood.startsWith('$')) return asItStood
  return kind === 'string' ? quoteString(text) : text
}
