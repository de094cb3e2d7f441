import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Mailbox } from '../mail/address.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { NewJob, StageJob } from './job.ts'
import { connectOnce } from './connection.ts'
import type { RedisAddress } from './redis-address.ts'
import { findInPath } from './redis-engine.ts'
import type { ServerProgram } from './redis-server.ts'
import { startServer } from './redis-server.ts'
import type { RedisEndpoint } from './ensure-redis.ts'

/** A redis-server of a test's own, on a unix socket in a temporary folder. */
export interface TestRedis {
  /** For `openQueues`. */
  readonly endpoint: RedisEndpoint
  readonly address: RedisAddress
  /** For `REDIS_URL` of child processes. */
  readonly url: string
  readonly pid: number
  /** Ends it politely, keeping what it holds. */
  stop(): Promise<void>
  /** Starts it again after `stop` or `kill`. */
  start(): Promise<void>
  /** `stop` and `start`. */
  restart(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** FLUSHALL: as if it had lost all it held. */
  empty(): Promise<void>
  /** Ends it and removes the folder. */
  close(): Promise<void>
}

/** Why tests with a real Redis cannot run here, for `{ skip }`; false when they can. */
export async function redisMissing(): Promise<string | false> {
  return (await findInPath(process.env['PATH'] ?? '')) === undefined ? 'SKIPPED: no redis-server in PATH' : false
}

/** @param extra more arguments of redis-server, e.g. `['--maxmemory', '10mb']` */
export async function startTestRedis(extra: readonly string[] = []): Promise<TestRedis> {
  const program = await findInPath(process.env['PATH'] ?? '')
  if (program === undefined) throw new Error('no redis-server in PATH')
  const folder = await mkdtemp(join(tmpdir(), 'sluice-redis-'))
  const server = new TestServer(program, folder, extra)
  await server.start()
  // A test that ends without its clean-up leaves no server behind.
  process.once('exit', () => server.killNow())
  return server
}

class TestServer implements TestRedis {
  readonly address: RedisAddress
  readonly endpoint: RedisEndpoint
  readonly url: string
  readonly #program: ServerProgram
  readonly #folder: string
  readonly #socketPath: string
  readonly #extra: readonly string[]
  #pid = 0

  constructor(program: ServerProgram, folder: string, extra: readonly string[]) {
    this.#program = program
    this.#folder = folder
    this.#socketPath = join(folder, 'redis.sock')
    this.#extra = extra
    this.url = `unix://${this.#socketPath}`
    this.address = { kind: 'socket', path: this.#socketPath }
    this.endpoint = { address: this.address, kind: 'given', release: () => Promise.resolve() }
  }

  get pid(): number {
    return this.#pid
  }

  async start(): Promise<void> {
    this.#pid = await startServer(this.#program, this.#folder, this.#socketPath, this.#extra)
  }

  async stop(): Promise<void> {
    await end(this.#pid, 'SIGTERM')
  }

  async kill(): Promise<void> {
    await end(this.#pid, 'SIGKILL')
  }

  async empty(): Promise<void> {
    const client = await connectOnce(this.address, 'test', 30_000)
    await client.flushall()
    client.disconnect()
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  killNow(): void {
    if (this.#pid === 0) return
    try {
      process.kill(this.#pid, 'SIGKILL')
    } catch {
      // ESRCH: it is gone.
    }
  }

  async close(): Promise<void> {
    await this.kill()
    this.#pid = 0
    await rm(this.#folder, { recursive: true, force: true })
  }
}

async function end(pid: number, signal: NodeJS.Signals): Promise<void> {
  try {
    process.kill(pid, signal)
    for (;;) {
      process.kill(pid, 0)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  } catch {
    // ESRCH: it is gone.
  }
}

/** A job as inbound makes them; `step` becomes part of the job id. */
export function testJob(queue: string, change: Partial<StageJob> = {}, step = queue): NewJob {
  const id = change.id ?? newMessageId(Date.now())
  const data: StageJob = {
    v: 1,
    id,
    at: { segment: 'main/000001.msg', offset: 0, recordBytes: 700, sizeBytes: 500, headerBytes: 100 },
    from: 'sender@example.org' as Mailbox,
    rcpt: [0],
    to: ['recipient@example.net' as Mailbox],
    tags: [],
    edits: [],
    receivedAt: Date.now(),
    path: [],
    attempts: 0,
    ...change,
  }
  return { queue, jobId: `${id}.${step}.0`, data }
}

/** A promise and the function that resolves it. */
export function signalOf<T = void>(): { readonly promise: Promise<T>; resolve(value: T): void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve: (value) => resolve(value) }
}
