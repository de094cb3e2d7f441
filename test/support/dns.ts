import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

import {
  type Answer,
  encodeAddress,
  encodeName,
  encodeText,
  type Question,
  readQuestion,
  type RecordType,
  responseCodes,
  types,
  writeAnswer,
} from './dns-wire.ts'
import { Changes } from './until.ts'

/** Trouble instead of records: an answer with that code, or none at all. */
export type DnsTrouble = 'NXDOMAIN' | 'SERVFAIL' | 'REFUSED' | 'TIMEOUT'

export interface DnsRecords {
  readonly A?: readonly string[]
  readonly AAAA?: readonly string[]
  /** `[preference, exchange]`; `[0, '.']` is the null MX (RFC 7505). */
  readonly MX?: readonly (readonly [number, string])[]
  /** Texts of any length: cut into strings of 255 octets. */
  readonly TXT?: readonly string[]
  readonly PTR?: readonly string[]
  readonly CNAME?: string
  /** RDATA in hex (RFC 6698 §2.1). */
  readonly TLSA?: readonly string[]
  /** As of a resolver that has checked the signatures: answers have AD. */
  readonly signed?: boolean
}

/** Names in lower case without final dot. A name alone with trouble fails for every type; `NAME TYPE` for that type only. */
export type DnsZone = Readonly<Record<string, DnsRecords | DnsTrouble>>

export interface DnsQuery {
  readonly name: string
  readonly type: string
  readonly transport: 'udp' | 'tcp'
}

export interface DnsServer {
  readonly port: number
  /** `127.0.0.1:port`, as resolver settings take it. */
  readonly address: string
  readonly queries: readonly DnsQuery[]
  count(name: string, type?: RecordType): number
  /** From now on; other names stay as they are. */
  set(zone: DnsZone): void
  remove(name: string): void
  waitForQuery(name: string, type?: RecordType, timeoutMs?: number): Promise<void>
  stop(): Promise<void>
}

const troubleCodes = {
  NXDOMAIN: responseCodes.nameError,
  SERVFAIL: responseCodes.serverFailure,
  REFUSED: responseCodes.refused,
} as const

/**
 * An authoritative name server of our own on loopback, UDP and TCP on one port, a free one unless told otherwise; what it
 * does not know is NXDOMAIN.
 */
export async function startDns(zone: DnsZone = {}, wanted = 0): Promise<DnsServer> {
  const entries = new Map(Object.entries(zone))
  const queries: DnsQuery[] = []
  const changes = new Changes()

  const answer = (message: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined => {
    const question = readQuestion(message)
    if (question === undefined) return undefined
    const type = typeName(question.type)
    queries.push({ name: question.name, type, transport })
    changes.changed()
    const response = resolve(entries, question, type)
    if (response === 'TIMEOUT') return undefined
    const whole = writeAnswer(question, response.code, response.answers, { authenticated: response.authenticated })
    return transport === 'udp' && whole.length > question.udpSize
      ? writeAnswer(question, response.code, [], { truncated: true })
      : whole
  }

  const { tcp, udp, port } = await listen(wanted)
  const sockets = new Set<Socket>()
  udp.on('message', (message, peer) => {
    const response = answer(message, 'udp')
    if (response !== undefined) udp.send(response, peer.port, peer.address)
  })
  tcp.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
    serveTcp(socket, (message) => answer(message, 'tcp'))
  })

  const count = (name: string, type?: RecordType) =>
    queries.filter((query) => query.name === name && (type === undefined || query.type === type)).length
  return {
    port,
    address: `127.0.0.1:${port}`,
    queries,
    count,
    set: (more) => {
      for (const [name, records] of Object.entries(more)) entries.set(name, records)
    },
    remove: (name) => {
      entries.delete(name)
    },
    waitForQuery: async (name, type, timeoutMs = 120_000) => {
      await changes.until(timeoutMs, `a query for ${name} ${type ?? ''}`, () =>
        count(name, type) > 0 ? true : undefined,
      )
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await Promise.all([
        new Promise((done) => tcp.close(done)),
        new Promise<void>((done) => {
          udp.close(done)
        }),
      ])
    },
  }
}

interface Resolved {
  readonly code: number
  readonly answers: readonly Answer[]
  readonly authenticated: boolean
}

function resolve(
  entries: ReadonlyMap<string, DnsRecords | DnsTrouble>,
  question: Question,
  type: string,
): Resolved | 'TIMEOUT' {
  const answers: Answer[] = []
  let authenticated = true
  let name = question.name
  for (let hops = 0; hops < 8; hops++) {
    const entry = entries.get(`${name} ${type}`) ?? entries.get(name)
    if (entry === 'TIMEOUT') return entry
    if (typeof entry === 'string') return { code: troubleCodes[entry], answers: [], authenticated: false }
    if (entry === undefined) {
      // An empty name between others exists (RFC 8020).
      const exists = hops > 0 || [...entries.keys()].some((other) => other.endsWith(`.${name}`))
      return { code: exists ? responseCodes.noError : responseCodes.nameError, answers, authenticated: false }
    }
    authenticated &&= entry.signed === true
    if (entry.CNAME === undefined || type === 'CNAME') {
      answers.push(...recordsOf(name, entry, type))
      break
    }
    answers.push({ name, type: 'CNAME', ttl: 0, data: encodeName(entry.CNAME) })
    name = entry.CNAME.toLowerCase()
  }
  return { code: responseCodes.noError, answers, authenticated }
}

function recordsOf(name: string, records: DnsRecords, type: string): readonly Answer[] {
  const make = (kind: RecordType, data: readonly Buffer[]): readonly Answer[] =>
    data.map((one) => ({ name, type: kind, ttl: 0, data: one }))
  switch (type) {
    case 'A':
    case 'AAAA':
      return make(type, (records[type] ?? []).map(encodeAddress))
    case 'MX':
      return make(
        type,
        (records.MX ?? []).map(([preference, exchange]) =>
          Buffer.concat([Buffer.from([preference >> 8, preference & 0xff]), encodeName(exchange)]),
        ),
      )
    case 'TXT':
      return make(type, (records.TXT ?? []).map(encodeText))
    case 'PTR':
      return make(type, (records.PTR ?? []).map(encodeName))
    case 'TLSA':
      return make(
        type,
        (records.TLSA ?? []).map((hex) => Buffer.from(hex, 'hex')),
      )
    case 'CNAME':
      return records.CNAME === undefined ? [] : make(type, [encodeName(records.CNAME)])
    default:
      return []
  }
}

function typeName(type: number): string {
  return Object.entries(types).find(([, number]) => number === type)?.[0] ?? `TYPE${type}`
}

/** Both transports on one port number: another one is tried when the UDP side of it is taken. */
async function listen(
  wanted: number,
): Promise<{ readonly tcp: Server; readonly udp: UdpSocket; readonly port: number }> {
  for (;;) {
    const tcp = createServer().listen(wanted, '127.0.0.1')
    await once(tcp, 'listening')
    const { port } = tcp.address() as AddressInfo
    const udp = createSocket('udp4')
    try {
      udp.bind(port, '127.0.0.1')
      await once(udp, 'listening')
      return { tcp, udp, port }
    } catch (error) {
      udp.close()
      tcp.close()
      if (wanted !== 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
}

/** Messages with a length of two octets in front (RFC 1035 §4.2.2). */
function serveTcp(socket: Socket, answer: (message: Buffer) => Buffer | undefined): void {
  let input = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    input = Buffer.concat([input, chunk])
    while (input.length >= 2 && input.length >= 2 + input.readUInt16BE(0)) {
      const length = input.readUInt16BE(0)
      const response = answer(input.subarray(2, 2 + length))
      input = input.subarray(2 + length)
      if (response === undefined) continue
      socket.write(Buffer.concat([Buffer.from([response.length >> 8, response.length & 0xff]), response]))
    }
  })
}
