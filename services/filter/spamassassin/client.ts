import { connect } from 'node:net'
import type { Socket } from 'node:net'

import type { SocketPlace } from '../../../shared/config/model.ts'
import type { ScanMessage, ScanSymbol } from '../engine.ts'

/** What spamd says about a message. */
export interface SpamdReply {
  readonly score: number
  readonly symbols: readonly ScanSymbol[]
}

export class SpamdError extends Error {
  override readonly name = 'SpamdError'
}

const mostReplyBytes = 1024 * 1024

/**
 * `REPORT` of SPAMC/1.5: the score, and each rule with its score and description. spamd closes the connection behind it.
 * @throws SpamdError, the socket's error, the reason of `signal`
 */
export async function askSpamd(place: SocketPlace, message: ScanMessage, signal: AbortSignal): Promise<SpamdReply> {
  const content = await message.content()
  signal.throwIfAborted()
  const socket = place.kind === 'unix' ? connect(place.path) : connect(place.port, place.host)
  const abort = (): void => void socket.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return readReply(await converse(socket, message, content))
  } finally {
    signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}

function converse(socket: Socket, message: ScanMessage, content: Buffer): Promise<string> {
  const top = Buffer.concat([Buffer.from(`Return-Path: <${message.envelope.reversePath ?? ''}>\r\n`), message.received])
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let sizeBytes = 0
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      sizeBytes += chunk.length
      if (sizeBytes > mostReplyBytes) socket.destroy(new SpamdError('spamd answers without end'))
    })
    socket.once('end', () => resolve(Buffer.concat(chunks).toString()))
    socket.on('error', reject)
    socket.once('close', () => reject(new SpamdError('spamd closed the connection without an answer')))
    socket.write(`REPORT SPAMC/1.5\r\nContent-length: ${top.length + content.length}\r\n\r\n`)
    socket.write(top)
    socket.end(content)
  })
}

/** `SPAMD/1.1 0 EX_OK`, fields, an empty line, the report. @throws SpamdError */
function readReply(reply: string): SpamdReply {
  const end = reply.indexOf('\r\n\r\n')
  const [status = '', ...fields] = reply.slice(0, end < 0 ? undefined : end).split('\r\n')
  if (!/^SPAMD\/\S+ 0 /.test(status))
    throw new SpamdError(`spamd says: ${status.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200)}`)
  const spam = fields.find((field) => /^Spam:/i.test(field)) ?? ''
  const score = Number(/;\s*(-?\d+(?:\.\d+)?)\s*\//.exec(spam)?.[1] ?? Number.NaN)
  if (!Number.isFinite(score)) throw new SpamdError('spamd answers without a score')
  return { score, symbols: readTable(reply.slice(end + 4)) }
}

/**
 * The table at the end of the report. A template may leave it out, and the preview above it quotes the message, which may quote
 * such a table: the last one counts.
 */
function readTable(report: string): readonly ScanSymbol[] {
  const lines = report.split(/\r?\n/)
  const start = lines.findLastIndex((line) => /^---- -+ -+$/.test(line))
  const symbols: ScanSymbol[] = []
  for (const line of start < 0 ? [] : lines.slice(start + 1)) {
    const [, score, name, text] = /^\s*(-?\d+(?:\.\d+)?)\s+([A-Z][A-Z0-9_]*)\s+(\S.*)$/.exec(line) ?? []
    const above = symbols.at(-1)
    if (score !== undefined && name !== undefined && text !== undefined)
      symbols.push({ name, score: Number(score) || 0, text: text.trim() })
    else if (above !== undefined && /^\s{10,}\S/.test(line))
      symbols.splice(-1, 1, { ...above, text: `${above.text} ${line.trim()}` })
  }
  return symbols
}
