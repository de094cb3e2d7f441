import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

/** A place whose SYNs nobody answers: a listener that never accepts, with a full backlog. */
export interface Blackhole {
  stop(): Promise<void>
}

/** Listens, tells it, and stands still for ever. */
const listener = `
const { parentPort, workerData } = require('node:worker_threads')
require('node:net').createServer().listen({ ...workerData, backlog: 1 }, () => {
  parentPort.postMessage('listening')
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
})
`
const answeredWithinMs = 500
const mostOfBacklog = 10

/** @throws Error when connections are still answered with the backlog full. */
export async function startBlackhole(host: string, port: number): Promise<Blackhole> {
  const worker = new Worker(listener, { eval: true, workerData: { host, port } })
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  const sockets: Socket[] = []
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await worker.terminate()
  }
  for (let answered = true; answered;) {
    const socket = connect({ host, port })
    socket.on('error', () => undefined)
    sockets.push(socket)
    answered = await isAnswered(socket)
    if (sockets.length < mostOfBacklog || !answered) continue
    await stop()
    throw new Error(`${host}:${port} answers ${sockets.length} connections that nobody accepts`)
  }
  return { stop }
}

function isAnswered(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), answeredWithinMs)
    socket.once('connect', () => {
      clearTimeout(timer)
      resolve(true)
    })
  })
}
