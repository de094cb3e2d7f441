import { connect, createServer, type Socket } from 'node:net'

/** Takes connections on ports of all addresses and hands each on: `8080=dashboard:8080`. Runs until it is killed. */
for (const word of process.argv.slice(2)) {
  const [, port = '', host = '', target = ''] = /^(\d+)=([^:]+):(\d+)$/.exec(word) ?? []
  if (port === '') throw new Error(`'${word}' is not port=host:port`)
  createServer((client) => join(client, connect(Number(target), host))).listen(Number(port))
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0))

function join(client: Socket, server: Socket): void {
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.pipe(other)
    one.on('error', () => other.destroy())
    one.on('close', () => other.destroy())
  }
}
