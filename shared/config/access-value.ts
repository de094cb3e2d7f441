/** What a value of an access table says to do. */
export type AccessValue =
  | { readonly kind: 'permit' | 'next' }
  /** Logged, and the list goes on. */
  | { readonly kind: 'warn'; readonly text: string }
  /** A reply, as it is written in pipeline.conf: `554 5.7.1 text`; the text may be missing. */
  | { readonly kind: 'refuse'; readonly reply: string }

/** `OK`, `REJECT [text]`, `DEFER [text]`, `554 [5.7.1] text`, `DUNNO`, `WARN text`; `undefined`: nothing that is known. */
export function parseAccessValue(value: string): AccessValue | undefined {
  const [, word = '', rest = ''] = /^(\S*)\s*(.*)$/s.exec(value.trim()) ?? []
  const text = rest.replaceAll(/[^\x20-\x7e]/g, '?')
  if (/^[45]\d\d$/.test(word)) return { kind: 'refuse', reply: `${word} ${text}`.trimEnd() }
  switch (word.toUpperCase()) {
    case 'OK':
    case 'PERMIT':
      return { kind: 'permit' }
    case 'DUNNO':
      return { kind: 'next' }
    case 'REJECT':
      return { kind: 'refuse', reply: `554 ${text}`.trimEnd() }
    case 'DEFER':
    case 'DEFER_IF_PERMIT':
    case 'DEFER_IF_REJECT':
      return { kind: 'refuse', reply: `450 ${text}`.trimEnd() }
    case 'WARN':
    case 'INFO':
      return { kind: 'warn', text }
    default:
      return /^\d+$/.test(word) && text === '' ? { kind: 'permit' } : undefined
  }
}
