import { isIP } from 'node:net'
import type { Readable } from 'node:stream'

/** Where the balancer says the client is; absent: the balancer speaks for itself (LOCAL, UNSPEC). */
export type ProxySource = { readonly address: string; readonly port: number } | undefined

/** The connection does not begin with a PROXY header that can be believed. */
export class ProxyHeaderError extends Error {
  override readonly name = 'ProxyHeaderError'
}

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const fixedOctets = 16
/** Addresses and TLVs; those of balancers have some hundred. */
const maxBodyOctets = 4_096
const addressOctets = { 0x11: 4, 0x21: 16 } as const
/** Of version 1, with its CR LF. */
const maxLineOctets = 107

/**
 * Reads the header of the PROXY protocol that a balancer sends before anything else, version 2 or the line of version 1; what
 * follows stays in the socket. TLVs are skipped.
 * @throws ProxyHeaderError for anything else, and when it has not come after `limitMs`
 */
export function readProxyHeader(socket: Readable, limitMs: number): Promise<ProxySource> {
  return new Promise((resolve, reject) => {
    const header = new HeaderReader(socket)
    const settle = (carryOut: () => void): void => {
      clearTimeout(timer)
      for (const event of ['error', 'end', 'close']) socket.off(event, broken)
      socket.off('readable', read)
      carryOut()
    }
    const fail = (error: unknown): void => settle(() => reject(error))
    const broken = (): void => fail(new ProxyHeaderError('the connection ended before its PROXY header'))
    const read = (): void => {
      try {
        if (!header.advance()) return
        const { source } = header
        settle(() => resolve(source))
      } catch (error) {
        fail(error)
      }
    }
    const timer = setTimeout(() => fail(new ProxyHeaderError('no PROXY header came in time')), limitMs)
    for (const event of ['error', 'end', 'close']) socket.on(event, broken)
    socket.on('readable', read)
    read()
  })
}

/** Takes from the socket what belongs to the header and no octet more. */
class HeaderReader {
  source: ProxySource
  readonly #socket: Readable
  /** What both versions are told apart by. */
  #start: Buffer | null = null
  #fixed: Buffer | null = null
  #line = ''

  constructor(socket: Readable) {
    this.#socket = socket
  }

  /** False: it goes on when the socket has more. @throws ProxyHeaderError */
  advance(): boolean {
    this.#start ??= this.#take(signature.length)
    if (this.#start === null) return false
    if (!this.#start.equals(signature)) return this.#advanceLine(this.#start)
    const rest = this.#fixed === null ? this.#take(fixedOctets - signature.length) : null
    if (rest !== null) this.#fixed = Buffer.concat([this.#start, rest])
    if (this.#fixed === null) return false
    const octets = bodyOctets(this.#fixed)
    const body = octets === 0 ? Buffer.alloc(0) : this.#take(octets)
    if (body === null) return false
    this.source = sourceOf(this.#fixed, body)
    return true
  }

  #advanceLine(start: Buffer): boolean {
    if (this.#line === '') this.#line = start.toString('latin1')
    if (!this.#line.startsWith('PROXY ')) throw new ProxyHeaderError('this is no PROXY header')
    while (!this.#line.endsWith('\n')) {
      if (this.#line.length >= maxLineOctets) throw new ProxyHeaderError('the PROXY line is too long')
      const octet = this.#take(1)
      if (octet === null) return false
      this.#line += octet.toString('latin1')
    }
    this.source = sourceOfLine(this.#line)
    return true
  }

  #take(octets: number): Buffer | null {
    return this.#socket.read(octets) as Buffer | null
  }
}

/** Version 1: `PROXY TCP4 client proxy port port`. @throws ProxyHeaderError */
function sourceOfLine(line: string): ProxySource {
  if (/^PROXY UNKNOWN(?: [\x20-\x7e]*)?\r\n$/.test(line)) return undefined
  const [, family, client = '', proxy = '', port = '', ownPort = ''] =
    /^PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (\d{1,5}) (\d{1,5})\r\n$/.exec(line) ?? []
  const sound = [client, proxy].every((address) => isIP(address) === Number(family))
  if (family === undefined || !sound || Number(port) > 65_535 || Number(ownPort) > 65_535)
    throw new ProxyHeaderError('the PROXY line is malformed')
  return { address: family === '4' ? client : canonicalAddress(client), port: Number(port) }
}

function bodyOctets(fixed: Buffer): number {
  if (fixed.length < fixedOctets) throw new ProxyHeaderError('the PROXY header is cut off')
  const octets = fixed.readUInt16BE(14)
  if (octets > maxBodyOctets) throw new ProxyHeaderError(`a PROXY header of ${octets} octets`)
  return octets
}

/** What the header says, its first 16 octets and the rest. @throws ProxyHeaderError */
function sourceOf(fixed: Buffer, body: Buffer): ProxySource {
  if (body.length !== fixed.readUInt16BE(14)) throw new ProxyHeaderError('the PROXY header is cut off')
  const command = fixed[12]
  if (command === 0x20) return undefined
  if (command !== 0x21) throw new ProxyHeaderError('the PROXY header has an unknown version or command')
  const protocol = fixed[13]
  if (protocol === 0x00) return undefined
  if (protocol !== 0x11 && protocol !== 0x21) throw new ProxyHeaderError('the PROXY header tells of no TCP connection')
  const width = addressOctets[protocol]
  if (body.length < 2 * width + 4) throw new ProxyHeaderError('the PROXY header is too short for its addresses')
  return { address: addressText(body.subarray(0, width)), port: body.readUInt16BE(2 * width) }
}

/** In the form that a socket has: `::ffff:192.0.2.1` is `192.0.2.1`. */
function addressText(octets: Buffer): string {
  if (octets.length === 4) return octets.join('.')
  if (octets.subarray(0, 12).equals(mappedPrefix)) return octets.subarray(12).join('.')
  const groups = Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(index * 2).toString(16))
  return canonicalAddress(groups.join(':'))
}

/** An IPv6 address in its shortest form; one that stands for an IPv4 address as that. */
export function canonicalAddress(address: string): string {
  const shortest = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(shortest) ?? []
  if (high === undefined || low === undefined) return shortest
  const [first, second] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return [first >> 8, first & 255, second >> 8, second & 255].join('.')
}

const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex')
