import type { Question } from '../config/external-table.ts'

/** What a table program says. */
export type TableMessage =
  | { readonly kind: 'registers'; readonly service: string }
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly ask: string; readonly id: string; readonly result: TableResult }

export type TableResult =
  | { readonly kind: 'found'; readonly value: string }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'done' }
  | { readonly kind: 'error'; readonly text: string }

/** The lines a table program is greeted with (table protocol 0.1, OpenSMTPD 7.6). */
export function configLines(table: string): readonly string[] {
  return ['config|smtpd-version|7.8.0', 'config|protocol|0.1', `config|tablename|${table}`, 'config|ready']
}

/** A question; the answer repeats the id. `nowMs`: epoch ms. */
export function questionLine(table: string, nowMs: number, id: string, question: Question | 'update'): string {
  const head = `table|0.1|${(nowMs / 1000).toFixed(6)}|${table}`
  if (question === 'update') return `${head}|update|${id}`
  const { ask, service } = question
  return ask === 'fetch' ? `${head}|fetch|${service}|${id}` : `${head}|${ask}|${service}|${id}|${question.key}`
}

/** `undefined`: the line is not of the protocol. */
export function parseMessage(line: string): TableMessage | undefined {
  const [word = '', first = '', result = '', ...rest] = line.split('|')
  if (word === 'register' && first !== '' && result === '' && rest.length === 0)
    return first === 'ready' ? { kind: 'ready' } : { kind: 'registers', service: first }
  const ask = /^(update|check|lookup|fetch)-result$/.exec(word)?.[1]
  const answer = resultOf(result, rest)
  return ask === undefined || first === '' || answer === undefined
    ? undefined
    : { kind: 'result', ask, id: first, result: answer }
}

/** A value may hold `|`: what an alias runs. */
function resultOf(word: string, rest: readonly string[]): TableResult | undefined {
  switch (word) {
    case 'found':
      return { kind: 'found', value: rest.join('|') }
    case 'not-found':
      return { kind: 'not-found' }
    case 'ok':
      return { kind: 'done' }
    case 'error':
      return { kind: 'error', text: rest.join('|') }
    default:
      return undefined
  }
}
