import assert from 'node:assert/strict'

import { plain, SmtpClient } from './smtp-client.ts'

/** A transcript of what a client sends and what the server must answer; see test/dialogs/README.md for its form. */
export interface Dialog {
  readonly name: string
  /** What a user may rely on, from `# guarantee:`. */
  readonly guarantee: string
  readonly listener: string
  readonly steps: readonly Step[]
}

interface Step {
  readonly line: number
  readonly action:
    | { readonly kind: 'send'; readonly octets: Buffer }
    | { readonly kind: 'expect'; readonly code: string; readonly text: string; readonly rest: boolean }
    | { readonly kind: 'has' | 'lacks'; readonly text: string }
    | { readonly kind: 'tls' | 'handshake' | 'close' }
}

/** @throws SyntaxError naming file and line. */
export function parseDialog(name: string, text: string): Dialog {
  const directives = new Map<string, string>()
  const steps: Step[] = []
  for (const [index, row] of text.split('\n').entries()) {
    const directive = /^#\s*(\w+):\s*(.*)$/.exec(row)
    if (directive !== null) directives.set(directive[1] as string, (directive[2] as string).trim())
    if (row.trim() === '' || row.startsWith('#')) continue
    steps.push({ line: index + 1, action: parseAction(row, `${name}:${index + 1}`) })
  }
  return {
    name,
    guarantee: directives.get('guarantee') ?? name,
    listener: directives.get('listener') ?? 'smtp',
    steps,
  }
}

/** Runs it. @throws AssertionError with the transcript so far and what was expected instead. */
export async function runDialog(dialog: Dialog, port: number): Promise<void> {
  const client = await SmtpClient.connect({ port, implicitTls: dialog.listener === 'smtps', timeoutMs: 20_000 })
  const transcript: string[] = []
  let lastReply = ''
  try {
    for (const [index, { line, action }] of dialog.steps.entries()) {
      const where = `${dialog.name}:${line}`
      switch (action.kind) {
        case 'send':
          transcript.push(`C: ${JSON.stringify(action.octets.toString('latin1'))}`)
          // Lines that follow each other without an answer between them go out in one packet: pipelining.
          if (dialog.steps[index + 1]?.action.kind !== 'send') client.write(pendingOctets(dialog.steps, index))
          break
        case 'expect': {
          const reply = await client.reply().catch((error: unknown) => {
            throw new assert.AssertionError({ message: explain(where, transcript, describe(action), String(error)) })
          })
          lastReply = reply.raw
          transcript.push(...reply.raw.split('\n').map((row) => `S: ${row}`))
          if (!fits(action, reply.raw)) {
            throw new assert.AssertionError({
              message: explain(where, transcript, describe(action), reply.raw),
              expected: describe(action),
              actual: reply.raw,
            })
          }
          break
        }
        case 'has':
        case 'lacks': {
          const found = lastReply
            .split('\n')
            .some((row) => row.slice(4).toUpperCase().startsWith(action.text.toUpperCase()))
          assert.equal(
            found,
            action.kind === 'has',
            explain(where, transcript, `a reply that ${action.kind} ${action.text}`, lastReply),
          )
          break
        }
        case 'tls':
          await client.startTls()
          transcript.push('-- TLS')
          break
        case 'handshake':
          await client.handshake()
          transcript.push('-- TLS')
          break
        case 'close':
          await client.waitForClose()
          break
      }
    }
  } finally {
    client.destroy()
  }
}

function parseAction(row: string, where: string): Step['action'] {
  const [, word = '', rest = ''] = /^(C:|B:|S:|has:|lacks:|TLS|HANDSHAKE|CLOSE)\s?(.*)$/.exec(row) ?? []
  switch (word) {
    case 'C:':
      return { kind: 'send', octets: Buffer.from(`${fill(rest)}\r\n`) }
    case 'B:':
      return { kind: 'send', octets: Buffer.from(unescape(fill(rest)), 'latin1') }
    case 'S:': {
      const [, code = '', text = ''] = /^([\dx|]+)(?:\s(.*))?$/.exec(rest) ?? []
      if (code === '') throw new SyntaxError(`${where}: no reply code in '${row}'`)
      const open = text === '' || text.endsWith('...')
      return { kind: 'expect', code, text: text.replace(/\.\.\.$/, ''), rest: open }
    }
    case 'has:':
    case 'lacks:':
      return { kind: word === 'has:' ? 'has' : 'lacks', text: rest.trim() }
    case 'TLS':
      return { kind: 'tls' }
    case 'HANDSHAKE':
      return { kind: 'handshake' }
    case 'CLOSE':
      return { kind: 'close' }
    default:
      throw new SyntaxError(`${where}: '${row}' is no line of a dialog`)
  }
}

function pendingOctets(steps: readonly Step[], last: number): Buffer {
  let first = last
  while (steps[first - 1]?.action.kind === 'send') first--
  return Buffer.concat(
    steps.slice(first, last + 1).flatMap(({ action }) => (action.kind === 'send' ? [action.octets] : [])),
  )
}

function fits(
  expected: { readonly code: string; readonly text: string; readonly rest: boolean },
  raw: string,
): boolean {
  const last = raw.split('\n').at(-1) ?? ''
  const code = expected.code.split('|').some((one) => new RegExp(`^${one.replaceAll('x', '\\d')}`).test(last))
  const text = last.slice(4)
  return code && (expected.rest ? text.startsWith(expected.text) : text === expected.text)
}

function describe(expected: { readonly code: string; readonly text: string; readonly rest: boolean }): string {
  return `${expected.code} ${expected.text}${expected.rest ? '...' : ''}`
}

function explain(where: string, transcript: readonly string[], expected: string, got: string): string {
  return `${where}\n${transcript.map((row) => `    ${row}`).join('\n')}\n  expected: ${expected}\n  got:      ${got}`
}

/** `{{plain USER PASSWORD}}`, `{{base64 TEXT}}` and `{{repeat TIMES TEXT}}`. */
function fill(text: string): string {
  return text
    .replaceAll(/\{\{plain (\S+) ([^}]*)\}\}/g, (_whole, user: string, password: string) => plain(user, password))
    .replaceAll(/\{\{base64 ([^}]*)\}\}/g, (_whole, words: string) => Buffer.from(words).toString('base64'))
    .replaceAll(/\{\{repeat (\d+) ([^}]*)\}\}/g, (_whole, times: string, words: string) => words.repeat(Number(times)))
}

function unescape(text: string): string {
  const simple: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', '0': '\0', '\\': '\\' }
  return text.replaceAll(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (whole, hex: string | undefined, letter: string) =>
    hex === undefined ? (simple[letter] ?? whole) : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
