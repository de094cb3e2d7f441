import { randomBytes } from 'node:crypto'

import { docker, eventually, stateOf } from './engine.ts'

/** Where services run in containers of a real engine, under a name of its own: what happens to them there. */
export abstract class Place {
  readonly name = `sluice-test-${randomBytes(3).toString('hex')}`
  readonly #ports = new Map<string, number>()

  /** Ids of the containers of a service that run, the eldest first. */
  abstract containers(service: string): Promise<readonly string[]>

  /** What a command says in a container of the service. */
  async exec(service: string, ...words: readonly string[]): Promise<string> {
    const [id = ''] = await this.containers(service)
    return docker('exec', id, ...words)
  }

  ctl(...words: readonly string[]): Promise<string> {
    return this.exec('ledger', 'sluicectl', ...words)
  }

  /** What each container of a service has printed, since it was made. */
  async saidByEach(service: string): Promise<readonly string[]> {
    return Promise.all((await this.containers(service)).map((id) => docker('logs', id)))
  }

  async said(service: string): Promise<string> {
    return (await this.saidByEach(service)).join('\n')
  }

  /** Lines of JSON that all containers of a service have logged, since they were made. */
  async logged(service: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const lines = (await this.said(service)).split('\n').filter((line) => line.startsWith('{'))
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** Resolves when all containers of a service say that they are well. */
  async healthy(service: string): Promise<void> {
    for (const id of await this.containers(service))
      await eventually(
        () => stateOf(id),
        ({ health }) => health === 'healthy',
        (state) => Promise.resolve(`${service} is not well: ${JSON.stringify(state)}`),
      )
  }

  /** The port of 127.0.0.1 by which the port of a container is reached; the engine gives another one at each start. */
  async port(service: string, inside: number): Promise<number> {
    const key = `${service}:${inside}`
    const known = this.#ports.get(key)
    if (known !== undefined) return known
    const [id = ''] = await this.containers(service)
    const [published = ''] = (await docker('port', id, `${inside}`)).split('\n')
    const port = Number(published.split(':').at(-1))
    this.#ports.set(key, port)
    return port
  }

  /** A container that came back has other ones. */
  forgetPorts(): void {
    this.#ports.clear()
  }

  async books(): Promise<Books> {
    // Its exit code says the same as the books.
    return JSON.parse(await this.exec('ledger', 'sh', '-c', 'sluicectl audit --json || true')) as Books
  }
}

export interface Books {
  readonly sums: Readonly<Record<string, number>>
  readonly missing: readonly string[]
  readonly behindBytes: number
}
