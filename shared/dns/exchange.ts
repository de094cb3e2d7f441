import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'

import { decodeAnswer, encodeQuery, recordTypes } from './message.ts'
import type { DnsAnswer, RecordType } from './message.ts'

/** A DNS server. */
export interface DnsPlace {
  readonly address: string
  readonly port: number
}

/** `address`, `address:port`, `[address]:port`, as `resolver` of pipeline.conf takes it. */
export function dnsPlace(text: string): DnsPlace {
  const [, bracketed, six, plain, port] = /^(?:\[(.*)\]|([^:]*:[^:]*:.*)|([^:]*))(?::(\d+))?$/.exec(text) ?? []
  return { address: bracketed ?? six ?? plain ?? text, port: Number(port ?? 53) }
}

/**
 * Asks one server by UDP, and again by TCP when the answer does not fit. Each question has a random id and a port of its own, and
 * only the server's own answer to it counts (RFC 5452 §9).
 * @throws Error when there is no answer in time
 */
export async function exchange(
  place: DnsPlace,
  name: string,
  type: RecordType,
  signal: AbortSignal,
): Promise<DnsAnswer> {
  const id = randomInt(65_536)
  const query = encodeQuery(id, name, type)
  const fits = (message: Buffer): DnsAnswer | undefined => {
    const answer = decodeAnswer(message)
    const asked = name.toLowerCase().replace(/\.$/, '')
    const same = answer?.id === id && answer.question.name === asked && answer.question.type === recordTypes[type]
    return same ? answer : undefined
  }
  const answer = await byUdp(place, query, fits, signal)
  return answer.truncated ? byTcp(place, query, fits, signal) : answer
}

type Fits = (message: Buffer) => DnsAnswer | undefined

function byUdp(place: DnsPlace, query: Buffer, fits: Fits, signal: AbortSignal): Promise<DnsAnswer> {
  const socket = createSocket(place.address.includes(':') ? 'udp6' : 'udp4')
  return new Promise<DnsAnswer>((resolve, reject) => {
    const onAbort = (): void => reject(noAnswer(place))
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    socket.on('error', reject).on('message', (message) => {
      const answer = fits(message)
      if (answer !== undefined) resolve(answer)
    })
    // Connected: the system lets in only what comes from that server.
    socket.once('connect', () => socket.send(query))
    socket.connect(place.port, place.address)
  }).finally(() => socket.close())
}

function byTcp(place: DnsPlace, query: Buffer, fits: Fits, signal: AbortSignal): Promise<DnsAnswer> {
  const socket = connect({ host: place.address, port: place.port })
  return new Promise<DnsAnswer>((resolve, reject) => {
    const fail = (): void => reject(noAnswer(place))
    signal.addEventListener('abort', fail, { once: true })
    if (signal.aborted) fail()
    let input = Buffer.alloc(0)
    socket.on('error', reject).on('close', fail)
    socket.on('data', (chunk: Buffer) => {
      input = Buffer.concat([input, chunk])
      if (input.length < 2 || input.length < 2 + input.readUInt16BE(0)) return
      const answer = fits(input.subarray(2, 2 + input.readUInt16BE(0)))
      if (answer === undefined) fail()
      else resolve(answer)
    })
    socket.write(Buffer.concat([Buffer.from([query.length >> 8, query.length & 0xff]), query]))
  }).finally(() => socket.destroy())
}

function noAnswer({ address, port }: DnsPlace): Error {
  return new Error(`the DNS server ${address}, port ${port}, did not answer`)
}
