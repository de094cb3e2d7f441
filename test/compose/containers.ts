import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { root } from '../support/fixtures.ts'
import { run } from '../support/process.ts'

const minutes = 60_000

/**
 * A project of Compose with a name of its own on a real engine, found by DOCKER_HOST as the docker command finds it: what operators
 * do with its containers, and what happens to these.
 */
export abstract class Containers {
  readonly name = `sluice-test-${randomBytes(3).toString('hex')}`
  readonly #ports = new Map<string, number>()

  /** The words after "docker compose" that name its files. */
  protected abstract files(): readonly string[]

  /** What an operator says in `.env`. */
  protected abstract settings(): Readonly<Record<string, string>>

  compose(...words: readonly string[]): Promise<string> {
    return this.composeWith({}, ...words)
  }

  /** With further settings, for this command alone. */
  protected async composeWith(more: Readonly<Record<string, string>>, ...words: readonly string[]): Promise<string> {
    const finished = await run('docker', ['compose', ...this.files(), '-p', this.name, ...words], {
      env: { ...engine(), ...this.settings(), ...more },
      timeoutMs: 15 * minutes,
    })
    assert.equal(finished.code, 0, `docker compose ${words.join(' ')}\n${finished.stdout}${finished.stderr}`)
    return finished.stdout
  }

  /** `up -d --wait`: of all services when none is named. */
  async up(...words: readonly string[]): Promise<void> {
    await this.compose('up', '-d', '--wait', ...words)
    this.forgetPorts()
  }

  /** With all it has: volumes, networks, containers. */
  async remove(): Promise<void> {
    await this.compose('--profile', '*', 'down', '-v', '--timeout', '20', '--remove-orphans')
  }

  ctl(...words: readonly string[]): Promise<string> {
    return this.compose('exec', '-T', 'ledger', 'sluicectl', ...words)
  }

  /** Ids of the containers of a service. */
  async containers(service: string): Promise<readonly string[]> {
    return (await this.compose('ps', '-q', service)).trim().split('\n')
  }

  /** All that the containers of a service have printed, since they were made. */
  async said(service: string): Promise<string> {
    return (await Promise.all((await this.containers(service)).map((id) => docker('logs', id)))).join('\n')
  }

  /** Lines of JSON among it. */
  async logged(service: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const lines = (await this.said(service)).split('\n').filter((line) => line.startsWith('{'))
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** Ends the first container of a service as a crash does, by SIGKILL; resolves when the engine has started it again by itself. */
  async crash(service: string): Promise<void> {
    const [id = ''] = await this.containers(service)
    const before = await stateOf(id)
    assert.ok(before.pid > 0, `${service} does not run`)
    process.kill(before.pid, 'SIGKILL')
    await eventually(
      () => stateOf(id),
      (state) => state.pid > 0 && state.restarts > before.restarts,
      (state) => Promise.resolve(`${service} was not started again: ${JSON.stringify(state)}`),
    )
    this.forgetPorts()
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
    const published = await this.compose('port', service, `${inside}`)
    const port = Number(published.trim().split(':').at(-1))
    this.#ports.set(key, port)
    return port
  }

  /** A container that came back has other ones. */
  protected forgetPorts(): void {
    this.#ports.clear()
  }

  async books(): Promise<Books> {
    // Its exit code says the same as the books.
    const words = ['exec', '-T', 'ledger', 'sh', '-c', 'sluicectl audit --json || true']
    return JSON.parse(await this.compose(...words)) as Books
  }
}

/** For the `skip` option of a test: false when an engine with Compose answers. */
export function missingEngine(): string | false {
  try {
    for (const words of [['version'], ['compose', 'version']]) execFileSync('docker', words, { stdio: 'ignore' })
    return false
  } catch {
    return 'no Docker engine with Compose answers: eval "$(test/compose/engine.sh)"'
  }
}

export async function docker(...words: readonly string[]): Promise<string> {
  const finished = await run('docker', words, { env: engine(), timeoutMs: 15 * minutes, cwd: root })
  assert.equal(finished.code, 0, `docker ${words.join(' ')}\n${finished.stdout}${finished.stderr}`)
  return finished.stdout
}

interface ContainerState {
  readonly pid: number
  readonly restarts: number
  readonly health: string
}

async function stateOf(id: string): Promise<ContainerState> {
  const format = '{{.State.Pid}} {{.RestartCount}} {{.State.Health.Status}}'
  const [pid, restarts, health = ''] = (await docker('inspect', '-f', format, id)).trim().split(' ')
  return { pid: Number(pid), restarts: Number(restarts), health }
}

export interface Books {
  readonly sums: Readonly<Record<string, number>>
  readonly missing: readonly string[]
  readonly behindBytes: number
}

/** Asks again and again until the answer is right. @throws AssertionError after four minutes. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isRight: (answer: T) => boolean,
  complaint: (last: T) => Promise<string>,
): Promise<T> {
  const endsAt = Date.now() + 4 * minutes
  for (;;) {
    const answer = await ask()
    if (isRight(answer)) return answer
    if (Date.now() > endsAt) assert.fail(await complaint(answer))
    await pause(500)
  }
}

/** Where the engine is. */
function engine(): Record<string, string> {
  return Object.fromEntries(
    ['DOCKER_HOST', 'DOCKER_CONFIG'].flatMap((name) => {
      const value = process.env[name]
      return value === undefined || value === '' ? [] : [[name, value] as const]
    }),
  )
}
