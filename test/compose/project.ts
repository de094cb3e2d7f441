import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { root } from '../support/fixtures.ts'
import { ImapClient } from '../support/imap-client.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { run } from '../support/process.ts'
import { type ClientReply, SmtpClient } from '../support/smtp-client.ts'

/** The mailbox that `sluicectl init` makes, and somebody who is no user. */
export const mailbox = 'postmaster@sluice.test'
export const stranger = 'bob@elsewhere.test'

const minutes = 60_000

/** What is in force: a clone of some commit, and the image that was built of it. */
export interface Version {
  readonly folder: string
  readonly image: string
}

/** This clone. Its image is built, layers cached, unless SLUICE_IMAGE names one. */
export const thisVersion: Version = { folder: root, image: process.env['SLUICE_IMAGE'] ?? 'sluice-test:local' }
const isBuilt = process.env['SLUICE_IMAGE'] === undefined

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

export interface Sending {
  /** A stranger on port 25, or the mailbox's user who has signed in; the first when left out. */
  readonly as?: 'stranger' | 'user'
  /** The mailbox when left out. */
  readonly to?: string
  readonly body?: string
}

/**
 * docker-compose.yml as a project of its own on a real engine, found by DOCKER_HOST as the docker command finds it, with
 * test/compose/test.yml on top: there is somebody at elsewhere.test.
 */
export class ComposeProject {
  /** Of all containers that are made from now on. */
  version: Version
  readonly name = `sluice-test-${randomBytes(3).toString('hex')}`
  /** What the resolver knows beside the world, in files that outlive it; the engine makes the folder. */
  readonly zones = join(tmpdir(), this.name)
  readonly #ports = new Map<string, number>()
  #password: string | undefined

  constructor(version: Version = thisVersion) {
    this.version = version
  }

  /** Resolves when all services are healthy. */
  static async start(version: Version = thisVersion): Promise<ComposeProject> {
    const project = new ComposeProject(version)
    try {
      await project.compose('config', '-q')
      await project.up(isBuilt && version === thisVersion ? '--build' : '--no-build')
      return project
    } catch (error) {
      await project.remove()
      throw error
    }
  }

  /** The images of ours, unless they are given. */
  async build(): Promise<void> {
    if (isBuilt) await this.compose('build', '-q')
  }

  compose(...words: readonly string[]): Promise<string> {
    return this.#composed(words)
  }

  /** The command of docs/operations.md, with a folder of backups. */
  backup(folder: string, ...words: readonly string[]): Promise<string> {
    return this.#composed(['run', '--rm', 'backup', ...words], { BACKUP_FOLDER: folder })
  }

  async #composed(words: readonly string[], settings: Readonly<Record<string, string>> = {}): Promise<string> {
    const { folder, image } = this.version
    const files = ['-f', join(folder, 'docker-compose.yml'), '-f', join(root, 'test/compose/test.yml')]
    const finished = await run(
      'docker',
      ['compose', '--project-directory', folder, ...files, '-p', this.name, ...words],
      {
        env: { ...environment(), ...settings, SLUICE_IMAGE: image, SLUICE_TEST_ZONES: this.zones },
        timeoutMs: 15 * minutes,
      },
    )
    assert.equal(finished.code, 0, `docker compose ${words.join(' ')}\n${finished.stdout}${finished.stderr}`)
    return finished.stdout
  }

  /** `up -d --wait`: of all services when none is named. */
  async up(...words: readonly string[]): Promise<void> {
    await this.compose('up', '-d', '--wait', ...words)
    this.#ports.clear()
  }

  /** With all it has: volumes, networks, containers. */
  async remove(): Promise<void> {
    await this.compose('down', '-v', '--timeout', '20', '--remove-orphans')
    await rm(this.zones, { recursive: true, force: true })
  }

  ctl(...words: readonly string[]): Promise<string> {
    return this.compose('exec', '-T', 'ledger', 'sluicectl', ...words)
  }

  /** Ids of the containers of a service. */
  async containers(service: string): Promise<readonly string[]> {
    return (await this.compose('ps', '-q', service)).trim().split('\n')
  }

  /** Lines of JSON that all containers of a service have logged, since they were made. */
  async logged(service: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const texts = await Promise.all((await this.containers(service)).map((id) => docker('logs', id)))
    const lines = texts.flatMap((text) => text.split('\n')).filter((line) => line.startsWith('{'))
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
    this.#ports.clear()
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

  /** Sends a message of that id and subject; the last reply. @throws Error when nobody is there. */
  async send(id: string, how: Sending = {}): Promise<ClientReply> {
    const { as = 'stranger', to = mailbox } = how
    const from = as === 'user' ? mailbox : stranger
    const client = as === 'user' ? await this.login() : await this.#connect('inbound', 2525)
    const content = testMessage({ id, from, to, ...(how.body === undefined ? {} : { body: how.body }) })
    try {
      const reply = await client.send({ from, to: [to], content })
      await client.quit()
      return reply
    } finally {
      client.destroy()
    }
  }

  /** A session of the mailbox's user on the port for that. */
  async login(password?: string): Promise<SmtpClient> {
    const options = { user: mailbox, password: password ?? (await this.password()), implicitTls: true }
    return this.#connect('inbound', 2465, options)
  }

  /** A session with other mail servers. */
  session(): Promise<SmtpClient> {
    return this.#connect('inbound', 2525)
  }

  async password(): Promise<string> {
    this.#password ??= (await this.compose('exec', '-T', 'dashboard', 'cat', `/identity/passwords/${mailbox}`)).trim()
    return this.#password
  }

  /** What is answered to commands in a folder of the mailbox. @throws Error when one is refused. */
  async imap(folder: string, ...commands: readonly string[]): Promise<string> {
    const port = await this.port('dovecot', 993)
    const client = await ImapClient.login({ port, user: mailbox, password: await this.password() })
    try {
      let answer = await client.command(`SELECT ${folder}`)
      for (const command of commands) answer = await client.command(command)
      return answer
    } finally {
      client.close()
    }
  }

  async subjectsIn(folder: string): Promise<readonly string[]> {
    const answer = await this.imap(folder, 'UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
    return [...answer.matchAll(/^Subject: (\S+)/gm)].map(([, subject]) => subject ?? '')
  }

  async #subjects(folders: readonly string[]): Promise<readonly string[]> {
    return (await Promise.all(folders.map((folder) => this.subjectsIn(folder)))).flat()
  }

  /** Resolves with all that is in the folders when those are: in both, unless one is named, for a number in a subject may look like junk. */
  async arrives(ids: Iterable<string>, ...folders: readonly string[]): Promise<readonly string[]> {
    const wanted = [...ids]
    return eventually(
      // Dovecot may be on its way back.
      () => this.#subjects(folders.length > 0 ? folders : ['INBOX', 'Junk']).catch((): readonly string[] => []),
      (found) => {
        const there = new Set(found)
        return wanted.every((subject) => there.has(subject))
      },
      async (found) => {
        const missing = wanted.filter((subject) => !found.includes(subject))
        const story = await this.ctl('find', `<${missing[0]}@remote.test>`, '--json')
        return `these never arrived: ${missing.join(' ')}\nof the first: ${story}\n${await this.ctl('show', 'queue')}`
      },
    )
  }

  /** Nothing waits, and all that was accepted is accounted for. */
  async settles(): Promise<Readonly<Record<string, number>>> {
    const { sums } = await eventually(
      () => this.books(),
      (books) => books.behindBytes === 0 && books.sums['queued'] === 0 && books.sums['missing'] === 0,
      async (books) => `the books are not closed: ${JSON.stringify(books)}\n${await this.ctl('show', 'queue')}`,
    )
    return sums
  }

  async books(): Promise<Books> {
    // Its exit code says the same as the books.
    const words = ['exec', '-T', 'ledger', 'sh', '-c', 'sluicectl audit --json || true']
    return JSON.parse(await this.compose(...words)) as Books
  }

  async #connect(
    service: string,
    inside: number,
    options: Omit<Parameters<typeof SmtpClient.ready>[0], 'port'> = {},
  ): Promise<SmtpClient> {
    try {
      return await SmtpClient.ready({ ...options, port: await this.port(service, inside) })
    } catch (error) {
      this.#ports.clear()
      throw error
    }
  }
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

/** Mail that keeps coming while something else happens. */
export class Load {
  /** What was answered 250, with the message's id of that reply. */
  readonly taken = new Map<string, string>()
  readonly #project: ComposeProject
  readonly #lanes: readonly Promise<void>[]
  #stopped = false
  #number = 0

  /** A lane is one sender that sends one message after the other. */
  constructor(project: ComposeProject, prefix: string, lanes: readonly Sending[]) {
    this.#project = project
    this.#lanes = lanes.map((how, lane) => this.#send(`${prefix}-${lane}`, how))
  }

  /** Resolves when that many more were taken than now. */
  async more(count: number): Promise<void> {
    const wanted = this.taken.size + count
    await eventually(
      () => Promise.resolve(this.taken.size),
      (taken) => taken >= wanted,
      (taken) => Promise.resolve(`${taken} messages were taken, not ${wanted}`),
    )
  }

  async stop(): Promise<ReadonlyMap<string, string>> {
    this.#stopped = true
    await Promise.all(this.#lanes)
    return this.taken
  }

  async #send(prefix: string, how: Sending): Promise<void> {
    while (!this.#stopped) {
      this.#number += 1
      const id = `${prefix}-${this.#number}`
      const reply: ClientReply | undefined = await this.#project.send(id, how).catch(() => undefined)
      if (reply?.code === 250) this.taken.set(id, idOf(reply))
      else await pause(250)
    }
  }
}

/**
 * Nothing of what was taken came twice, but what was given to its next hop once more because nobody knew what that had answered; of that the
 * message's story tells.
 */
export async function cameOnce(
  project: ComposeProject,
  taken: ReadonlyMap<string, string>,
  arrived: readonly string[],
): Promise<void> {
  const twice = new Set(arrived.filter((id, index) => arrived.indexOf(id) !== index))
  for (const id of twice) {
    const messageId = taken.get(id)
    if (messageId === undefined) continue
    const story = await project.ctl('show', 'message', messageId, '--json')
    assert.match(
      story,
      /"may repeat"|it may have taken the message/,
      `${id} came twice, and nothing says that it might: ${story}`,
    )
  }
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

/** What an operator says in `.env`, and the engine. */
function environment(): Record<string, string> {
  return {
    ...engine(),
    UNBOUND_IMAGE: process.env['UNBOUND_IMAGE'] ?? 'sluice-test-unbound:local',
    SLUICE_TEST_FOLDER: join(root, 'test'),
    SLUICE_TEST_IMAGE: thisVersion.image,
    MAIL_DOMAIN: 'sluice.test',
    MAIL_HOSTNAME: 'mx.sluice.test',
    // Whichever ports are free.
    SMTP_PORT: '127.0.0.1:',
    SUBMISSION_PORT: '127.0.0.1:',
    SUBMISSIONS_PORT: '127.0.0.1:',
    IMAPS_PORT: '127.0.0.1:',
    SIEVE_PORT: '127.0.0.1:',
    DASHBOARD_PORT: '0',
  }
}
