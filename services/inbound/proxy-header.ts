import type { Readable } from 'node:stream'

/** Where the balancer says the client is; absent: the balancer speaks for itself (LOCAL, UNSPEC). */
export type ProxySource = { readonly address: string; readonly port: number } | undefined

/** The connection does not begin with a PROXY header of version 2 that can be believed. */
export class ProxyHeaderError extends Error {
  override readonly name = 'ProxyHeaderError'
}

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const fixedOctets = 16
/** Addresses and TLVs; those of balancers have some hundred. */
const maxBodyOctets = 4_096
const addressOctets = { 0x11: 4, 0x21: 16 } as const

/**
 * Reads the header of the PROXY protocol, version 2, that a balancer sends before anything else; what follows stays in the
 * socket. Its TLVs are skipped.
 * @throws ProxyHeaderError for anything else, and when it has not come after `limitMs`
 */
export function readProxyHeader(socket: Readable, limitMs: number): Promise<ProxySource> {
  return new Promise((resolve, reject) => {
    let fixed: Buffer | null = null
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
        fixed ??= socket.read(fixedOctets) as Buffer | null
        if (fixed === null) return
        const octets = bodyOctets(fixed)
        const body = octets === 0 ? Buffer.alloc(0) : (socket.read(octets) as Buffer | null)
        if (body === null) return
        const source = sourceOf(fixed, body)
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

function bodyOctets(fixed: Buffer): number {
  if (fixed.length < fixedOctets || !fixed.subarray(0, 12).equals(signature)) {
    throw new ProxyHeaderError('this is no PROXY header of version 2')
  }
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
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex')
