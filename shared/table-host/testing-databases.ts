/* Just enough of three servers for a look-up, for tests: what is asked is answered from `answer`. */
import type { Socket } from 'node:net'
import type { TestContext } from 'node:test'

import { startTestingServer } from './testing-server.ts'
import type { TestingServer } from './testing-server.ts'

/** One row or none, for the key that a statement or a filter was given. */
export type Answer = (key: string) => readonly string[] | undefined

/** Frames of a connection, cut out of what comes; `frameOf` says how long the first one is, once that is known. */
function byFrame(
  lengthOf: (received: Buffer) => number | undefined,
  onFrame: (socket: Socket, frame: Buffer) => void,
): (socket: Socket, said: Buffer) => void {
  const begun = new WeakMap<Socket, Buffer>()
  return (socket, said) => {
    let received = Buffer.concat([begun.get(socket) ?? Buffer.alloc(0), said])
    for (
      let length = lengthOf(received);
      length !== undefined && length <= received.length;
      length = lengthOf(received)
    ) {
      onFrame(socket, received.subarray(0, length))
      received = received.subarray(length)
    }
    begun.set(socket, received)
  }
}

/** PostgreSQL, protocol 3.0: no password, one parameter, one column. */
export function startPostgres(t: TestContext, answer: Answer): Promise<TestingServer> {
  const greeted = new WeakSet<Socket>()
  const keys = new WeakMap<Socket, string>()
  const message = (type: string, ...parts: readonly Buffer[]): Buffer => {
    const body = Buffer.concat(parts)
    return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
  }
  const ready = message('Z', Buffer.from('I'))

  function respond(socket: Socket, frame: Buffer): void {
    const key = keys.get(socket) ?? ''
    const row = answer(key)
    switch (frame.toString('latin1', 0, 1)) {
      case 'P':
        return void socket.write(message('1'))
      case 'B':
        keys.set(socket, parameterOf(frame))
        return void socket.write(message('2'))
      case 'D': {
        const column = Buffer.concat([
          Buffer.from('c\0'),
          int32(0),
          int16(0),
          int32(25),
          int16(-1),
          int32(-1),
          int16(0),
        ])
        return void socket.write(message('T', int16(1), column))
      }
      case 'E': {
        const rows = row === undefined ? [] : [message('D', int16(row.length), ...row.map((one) => counted(one)))]
        return void socket.write(Buffer.concat([...rows, message('C', Buffer.from('SELECT 1\0'))]))
      }
      case 'S':
        return void socket.write(ready)
    }
  }

  const take = byFrame((received) => (received.length < 5 ? undefined : received.readInt32BE(1) + 1), respond)
  return startTestingServer(t, (socket, said) => {
    if (greeted.has(socket)) return take(socket, said)
    greeted.add(socket)
    socket.write(Buffer.concat([message('R', int32(0)), ready]))
  })
}

/** Of Bind: portal, statement, formats, and one value. */
function parameterOf(frame: Buffer): string {
  let at = 5
  for (let names = 0; names < 2; names += 1) at = frame.indexOf(0, at) + 1
  at += 2 + frame.readInt16BE(at) * 2 + 2
  return frame.toString('utf8', at + 4, at + 4 + frame.readInt32BE(at))
}

function counted(text: string): Buffer {
  const octets = Buffer.from(text)
  return Buffer.concat([int32(octets.length), octets])
}

/** MySQL: any password, prepared statements of one parameter and one column. */
export function startMysql(t: TestContext, answer: Answer): Promise<TestingServer> {
  const greeted = new WeakSet<Socket>()
  const packets = (first: number, ...bodies: readonly Buffer[]): Buffer =>
    Buffer.concat(
      bodies.flatMap((body, index) => {
        const head = Buffer.alloc(4)
        head.writeUIntLE(body.length, 0, 3)
        head[3] = first + index
        return [head, body]
      }),
    )
  const end = Buffer.from([0xfe, 0, 0, 2, 0])
  const ok = Buffer.from([0, 0, 0, 2, 0, 0, 0])
  const column = Buffer.concat([
    ...['def', '', '', '', 'c', 'c'].map((text) => lengthy(text)),
    Buffer.from([0x0c, 45, 0, 255, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0]),
  ])

  function respond(socket: Socket, frame: Buffer): void {
    if (!greeted.has(socket)) {
      greeted.add(socket)
      return void socket.write(packets(2, ok))
    }
    const [command] = frame.subarray(4)
    if (command === 0x16) {
      const prepared = Buffer.from([0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0])
      return void socket.write(packets(1, prepared, column, end, column, end))
    }
    if (command !== 0x17) return
    const row = answer(frame.toString('utf8', 4 + 10 + 1 + 1 + 2 + 1))
    const rows = row === undefined ? [] : [Buffer.concat([Buffer.from([0, 0]), ...row.map((one) => lengthy(one))])]
    socket.write(packets(1, Buffer.from([1]), column, end, ...rows, end))
  }

  const greeting = Buffer.concat([
    Buffer.from('\x0a8.0.0\0\x01\0\0\0abcdefgh\0', 'latin1'),
    Buffer.from([0x0f, 0xa2, 45, 2, 0, 0x0a, 0, 21]),
    Buffer.alloc(10),
    Buffer.from('ijklmnopqrst\0mysql_native_password\0'),
  ])
  const take = byFrame((received) => (received.length < 4 ? undefined : received.readUIntLE(0, 3) + 4), respond)
  return startTestingServer(t, take, (socket) => socket.write(packets(0, greeting)))
}

function lengthy(text: string): Buffer {
  const octets = Buffer.from(text)
  return Buffer.concat([Buffer.from([octets.length]), octets])
}

/** A directory: any password but "wrong", and nothing for who did not bind; an entry has `cn` with the values that are answered. */
export function startDirectory(t: TestContext, answer: Answer): Promise<TestingServer> {
  const bound = new WeakSet<Socket>()
  const done = (id: Buffer, type: number, code: number): Buffer =>
    ber(0x30, id, ber(type, ber(0x0a, Buffer.from([code])), ber(0x04), ber(0x04)))

  function respond(socket: Socket, frame: Buffer): void {
    const [message] = parts(frame)
    const [id, operation] = message?.parts ?? []
    if (id === undefined || operation === undefined) return
    const number = ber(0x02, id.content)
    if (operation.type === 0x60) {
      const refused = operation.content.includes('wrong')
      if (!refused) bound.add(socket)
      return void socket.write(done(number, 0x61, refused ? 49 : 0))
    }
    if (operation.type !== 0x63) return
    if (!bound.has(socket)) return void socket.write(done(number, 0x65, 1))
    const [, key] = operation.parts.find(({ type }) => type === 0xa3)?.parts ?? []
    const values = answer(key?.content.toString('utf8') ?? '')
    const texts = (values ?? []).map((value) => ber(0x04, Buffer.from(value)))
    const attribute = ber(0x30, ber(0x04, Buffer.from('CN')), ber(0x31, ...texts))
    const entry = ber(0x30, number, ber(0x64, ber(0x04, Buffer.from('uid=x')), ber(0x30, attribute)))
    socket.write(Buffer.concat([...(values === undefined ? [] : [entry]), done(number, 0x65, 0)]))
  }

  const take = byFrame((received) => {
    const head = headOf(received)
    return head === undefined ? undefined : head.begin + head.length
  }, respond)
  return startTestingServer(t, take)
}

interface Part {
  readonly type: number
  readonly content: Buffer
  /** Of a part that is made of others. */
  readonly parts: readonly Part[]
}

function ber(type: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([type, 0x82, content.length >> 8, content.length & 0xff]), content])
}

function parts(octets: Buffer): readonly Part[] {
  const found: Part[] = []
  let rest = octets
  for (let head = headOf(rest); head !== undefined; head = headOf(rest)) {
    const content = rest.subarray(head.begin, head.begin + head.length)
    found.push({ type: head.type, content, parts: (head.type & 0x20) === 0 ? [] : parts(content) })
    rest = rest.subarray(head.begin + head.length)
  }
  return found
}

function headOf(
  octets: Buffer,
): { readonly type: number; readonly begin: number; readonly length: number } | undefined {
  const [type, short] = octets
  if (type === undefined || short === undefined) return undefined
  const more = short < 0x80 ? 0 : short & 0x7f
  if (octets.length < 2 + more) return undefined
  return { type, begin: 2 + more, length: more === 0 ? short : octets.readUIntBE(2, more) }
}

function int16(value: number): Buffer {
  const octets = Buffer.alloc(2)
  octets.writeInt16BE(value)
  return octets
}

function int32(value: number): Buffer {
  const octets = Buffer.alloc(4)
  octets.writeInt32BE(value)
  return octets
}
