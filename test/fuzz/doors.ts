import { credentials, testPipeline } from '../../services/inbound/testing.ts'
import type { TestInboundOptions } from '../../services/inbound/testing.ts'
import type { Configuration, Listener } from '../../shared/config/model.ts'
import type { BareLineEnds } from '../../shared/config/session-rules.ts'
import { plain } from '../support/smtp-client.ts'
import type { Random } from './random.ts'

/** A listener that sessions are sent to. */
export interface Door {
  readonly options: TestInboundOptions
  readonly bareLineEnds: BareLineEnds
  /** Commands it has beside those of RFC 5321. */
  readonly words?: readonly string[]
  /** What a balancer says before the greeting. */
  readonly header?: (random: Random) => ProxyHeader
  /** The session goes on in TLS; what is sent behind STARTTLS in the clear. */
  readonly injection?: (random: Random) => string
  /** Its messages may be those of users. */
  readonly hasUsers?: true
}

export interface ProxyHeader {
  readonly octets: Buffer
  /** Of the client, where the header is a good one. */
  readonly address?: string
}

/** The sender of what is said in the clear behind STARTTLS. */
export const injector = 'injected@example.net'

/** All that is listened to. */
export function fuzzedDoors(): readonly Door[] {
  const proxied = { trustedProxies: ['127.0.0.0/8'] }
  const trusting = { trustedClients: ['127.0.0.0/8'], trustedFilters: ['127.0.0.0/8'] }
  const auth = { mechanisms: ['PLAIN', 'LOGIN', 'SCRAM-SHA-256'], withoutTls: true } as const
  return [
    door('reject'),
    door('repair'),
    { ...door('reject', proxied, { proxy: true }), header: proxyHeader },
    {
      ...door('repair-users', { ...proxied, auth }, { proxy: true, auth: { kind: 'optional', table: credentials } }),
      // Each client has an address of his own: wrong passwords of one do not keep the others out.
      header: goodHeader,
      words: authWords,
      hasUsers: true,
    },
    {
      ...door('reject', { extensions: { ...testPipeline.extensions, ...trusting } }),
      words: forwardWords,
      hasUsers: true,
    },
    { ...door('reject'), injection: (random) => random.pick(injections) },
  ]
}

function door(
  bareLineEnds: BareLineEnds,
  pipeline: Partial<Configuration['pipeline']> = {},
  listener: Partial<Listener> = {},
): Door {
  const at = { file: 'pipeline.conf', line: 1, column: 1 }
  const settings = { bareLineEnds, greetingWaitMs: 0, headerBytes: 4_096 }
  return {
    bareLineEnds,
    options: {
      listener: { tls: 'offered', pkis: ['server'], ...listener },
      configuration: {
        maxMessageBytes: 20_000,
        pipeline: { ...testPipeline, ...pipeline, sessions: [{ at, settings }] },
      },
      limits: { proxyHeaderMs: 500 },
    },
  }
}

function goodHeader(random: Random): ProxyHeader {
  const octets = [10, random.below(256), random.below(256), random.below(256)]
  const address = octets.join('.')
  if (random.below(2) === 0) return { octets: Buffer.from(`PROXY TCP4 ${address} 127.0.0.1 4242 25\r\n`), address }
  const tlv = random.pick(['', '\x03\0\x04abcd', '\x20\0\x05\0\0\0\0\0', '\x04\xff\xff'])
  const body = Buffer.concat([Buffer.from([...octets, 127, 0, 0, 1, 16, 146, 0, 25]), Buffer.from(tlv, 'latin1')])
  return { octets: Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, body.length]), body]), address }
}

function proxyHeader(random: Random): ProxyHeader {
  const good = goodHeader(random)
  const octets = Buffer.from(good.octets)
  switch (random.below(6)) {
    case 0:
      octets[random.below(octets.length)] = random.below(256)
      return { octets }
    case 1:
      return { octets: octets.subarray(0, random.below(octets.length)) }
    case 2:
      return { octets: Buffer.from(random.pick(otherHeaders), 'latin1') }
    default:
      return good
  }
}

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const otherHeaders = [
  'PROXY UNKNOWN\r\n',
  'PROXY TCP6 2001:db8::1 ::1 1 25\r\n',
  'PROXY TCP4 192.0.2.1 127.0.0.1 1 25\n',
  'PROXY TCP4 ::1 127.0.0.1 1 25\r\n',
  'PROXY TCP4 192.0.2.1 127.0.0.1 99999 25\r\n',
  `PROXY TCP4 ${'1'.repeat(200)}`,
  '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0',
  '\r\n\r\n\0\r\nQUIT\n\x21\x31\0\x04abcd',
  '\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff',
  'EHLO client.test\r\n',
  '\x16\x03\x01\x02\0\x01\0',
]

const goodLogin = `AUTH PLAIN ${plain('jane', 'secret')}`
const authWords = [
  goodLogin,
  goodLogin,
  `AUTH PLAIN ${plain('jane', 'wrong')}`,
  `AUTH PLAIN ${plain('ja\0ne', 'secret')}`,
  `AUTH PLAIN ${plain('jane\r\n', 'secret')}`,
  `AUTH PLAIN\r\n${plain('jane', 'secret')}`,
  'AUTH LOGIN\r\namFuZQ==\r\nc2VjcmV0',
  'AUTH LOGIN amFuZQ==\r\n*',
  'AUTH LOGIN\r\n=',
  'AUTH PLAIN =',
  'AUTH SCRAM-SHA-256 biwsbj1qYW5lLHI9YWJj\r\nYz1iaXdzLHI9YWJjLHA9QUFBQQ==',
  'AUTH SCRAM-SHA-256 cD10bHMtdW5pcXVlLCxuPWphbmUscj1hYmM=',
  `AUTH PLAIN ${'A'.repeat(9_000)}`,
  `AUTH PLAIN\r\n${'A'.repeat(13_000)}`,
]
const forwardWords = [
  'XCLIENT ADDR=192.0.2.7 NAME=mx.example.net PORT=25',
  'XCLIENT ADDR=192.0.2.7 LOGIN=jane',
  'XCLIENT LOGIN=ja+0D+0Ane',
  'XCLIENT NAME=a+0Ab HELO=+00',
  'XCLIENT ADDR=IPv6:2001:db8::7 PROTO=ESMTP HELO=mx.example.net',
  'XCLIENT ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]',
  'XCLIENT ADDR=1.2.3.4 ADDR=5.6.7.8',
  'XCLIENT __proto__=x',
  'XFORWARD NAME=mx.example.net ADDR=192.0.2.8 PROTO=ESMTP HELO=x+28y IDENT=abc SOURCE=REMOTE',
  'XFORWARD ADDR=[UNAVAILABLE]',
  'XFORWARD HELO=a+0D+0AMAIL IDENT=+00',
]
const smuggled = `MAIL FROM:<${injector}>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n`
const injections = [
  '',
  'NOOP\r\n',
  'NOOP\r\n'.repeat(300),
  `EHLO client.test\r\n${smuggled}`,
  smuggled,
  `MAIL FROM:<${injector}>\r\n`,
  `MAIL FROM:<${injector}>\n`,
  'EHLO injec',
  'STARTTLS\r\n',
  'QUIT\r\n',
]
