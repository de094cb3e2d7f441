import type { Readable } from 'node:stream'

/** What a TLS record with a ClientHello begins with (RFC 8446 §5.1): no command of SMTP does. */
export const handshakeOctet = 0x16

/** The first octet of a socket, which stays in it; `undefined`: none has come after `limitMs`, or there is no more to come. */
export function firstOctet(socket: Readable, limitMs: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const settle = (octet?: number): void => {
      clearTimeout(timer)
      for (const event of endings) socket.off(event, end)
      socket.off('readable', look)
      resolve(octet)
    }
    const end = (): void => settle()
    const look = (): void => {
      const octets = socket.read(1) as Buffer | null
      if (octets === null) return
      socket.unshift(octets)
      settle(octets[0])
    }
    // What came in while this process was busy is looked at before the time counts as over.
    const timer = setTimeout(() => setImmediate(end), limitMs)
    for (const event of endings) socket.on(event, end)
    socket.on('readable', look)
    look()
  })
}

const endings = ['error', 'end', 'close'] as const
