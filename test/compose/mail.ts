import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { ImapClient } from '../support/imap-client.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { type ClientReply, SmtpClient } from '../support/smtp-client.ts'
import { eventually } from './engine.ts'
import type { Place } from './place.ts'

/** The mailbox that `sluicectl init` makes, and somebody who is no user. */
export const mailbox = 'postmaster@sluice.test'
export const stranger = 'bob@elsewhere.test'

export interface Sending {
  /** A stranger on port 25, or the mailbox's user who has signed in; the first when left out. */
  readonly as?: 'stranger' | 'user'
  /** The mailbox when left out. */
  readonly to?: string
  readonly body?: string
  /** Another host than this one, which may go away while it is spoken to. */
  readonly host?: string
}

function hostOf({ host }: Sending): { readonly host: string; readonly timeoutMs: number } | object {
  return host === undefined ? {} : { host, timeoutMs: 20_000 }
}

/** What senders and the owner of the mailbox see of it. */
export class Mail {
  readonly #place: Place
  #password: string | undefined

  constructor(place: Place) {
    this.#place = place
  }

  /** Sends a message of that id and subject; the last reply. @throws Error when nobody is there. */
  async send(id: string, how: Sending = {}): Promise<ClientReply> {
    const { as = 'stranger', to = mailbox } = how
    const from = as === 'user' ? mailbox : stranger
    const client = as === 'user' ? await this.login() : await this.#connect('inbound', 2525, hostOf(how))
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
    this.#password ??= (await this.#place.exec('dashboard', 'cat', `/identity/passwords/${mailbox}`)).trim()
    return this.#password
  }

  /** What is answered to commands in a folder of the mailbox. @throws Error when one is refused. */
  async imap(folder: string, ...commands: readonly string[]): Promise<string> {
    const port = await this.#place.port('dovecot', 993)
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
    let trouble = ''
    return eventually(
      // Dovecot may be on its way back.
      () =>
        this.#subjects(folders.length > 0 ? folders : ['INBOX', 'Junk']).catch((error: unknown): readonly string[] => {
          trouble = String(error)
          return []
        }),
      (found) => {
        const there = new Set(found)
        return wanted.every((subject) => there.has(subject))
      },
      async (found) => {
        const missing = wanted.filter((subject) => !found.includes(subject))
        const story = await this.#place.ctl('find', `<${missing[0]}@remote.test>`, '--json')
        return `these never arrived: ${missing.join(' ')} ${trouble}\nof the first: ${story}\n${await this.#place.ctl('show', 'queue')}`
      },
    )
  }

  /** Nothing waits, and all that was accepted is accounted for. */
  async settles(): Promise<Readonly<Record<string, number>>> {
    const { sums } = await eventually(
      () => this.#place.books(),
      (books) => books.behindBytes === 0 && books.sums['queued'] === 0 && books.sums['missing'] === 0,
      async (books) => `the books are not closed: ${JSON.stringify(books)}\n${await this.#place.ctl('show', 'queue')}`,
    )
    return sums
  }

  async #connect(
    service: string,
    inside: number,
    options: Omit<Parameters<typeof SmtpClient.ready>[0], 'port'> = {},
  ): Promise<SmtpClient> {
    try {
      return await SmtpClient.ready({ ...options, port: await this.#place.port(service, inside) })
    } catch (error) {
      this.#place.forgetPorts()
      throw error
    }
  }
}

/** Mail that keeps coming while something else happens. */
export class Load {
  /** What was answered 250, with the message's id of that reply. */
  readonly taken = new Map<string, string>()
  readonly #mail: Mail
  readonly #lanes: readonly Promise<void>[]
  #stopped = false
  #number = 0

  /** A lane is one sender that sends one message after the other. */
  constructor(mail: Mail, prefix: string, lanes: readonly Sending[]) {
    this.#mail = mail
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
      const reply: ClientReply | undefined = await this.#mail.send(id, how).catch(() => undefined)
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
  place: Pick<Place, 'ctl'>,
  taken: ReadonlyMap<string, string>,
  arrived: readonly string[],
): Promise<void> {
  const twice = new Set(arrived.filter((id, index) => arrived.indexOf(id) !== index))
  for (const id of twice) {
    const messageId = taken.get(id)
    if (messageId === undefined) continue
    const story = await place.ctl('show', 'message', messageId, '--json')
    assert.match(
      story,
      /"may repeat"|it may have taken the message/,
      `${id} came twice, and nothing says that it might: ${story}`,
    )
  }
}

/** As `sluicectl init` tells to publish it: the public half of the key in the volume. */
export async function dkimRecords(place: Place): Promise<Readonly<Record<string, string>>> {
  const pem = await place.exec('signer', 'cat', '/identity/dkim/sluice.key')
  const key = createPublicKey(pem).export({ format: 'der', type: 'spki' }).toString('base64')
  return { 'sluice._domainkey.sluice.test': `v=DKIM1; k=rsa; p=${key}` }
}
