import { join } from 'node:path'

import { root } from '../support/fixtures.ts'
import { ImapClient } from '../support/imap-client.ts'
import { Containers } from './containers.ts'
import { eventually } from './engine.ts'
import { images, isBuilt, thisVersion } from './project.ts'

/** deploy/demo.yml as a newcomer starts it, but on free ports and with less time between samples. */
export class Demonstration extends Containers {
  /** Resolves when all services are healthy. */
  static async start(): Promise<Demonstration> {
    const demo = new Demonstration()
    try {
      await demo.up(isBuilt ? '--build' : '--no-build')
      return demo
    } catch (error) {
      await demo.remove()
      throw error
    }
  }

  protected files(): readonly string[] {
    return ['-f', join(root, 'deploy/demo.yml')]
  }

  protected settings(): Readonly<Record<string, string>> {
    return {
      ...images(thisVersion),
      DEMO_PAUSE_MS: '300',
      DEMO_DASHBOARD_PORT: '0',
      DEMO_SMTP_PORT: '0',
      DEMO_SUBMISSION_PORT: '0',
      DEMO_SUBMISSIONS_PORT: '0',
      DEMO_IMAPS_PORT: '0',
    }
  }

  /** Resolves when a search finds a message. */
  async finds(query: string): Promise<void> {
    await eventually(
      () => this.ctl('find', query, '--limit', '1', '--json'),
      (found) => (JSON.parse(found) as { readonly messages: readonly unknown[] }).messages.length > 0,
      async () => `nothing is found by ${query}\n${await this.said('internet')}\n${await this.ctl('show', 'queue')}`,
    )
  }

  /** Resolves when a message of that subject is in a folder, read by IMAP as a newcomer reads it. */
  async reads(user: string, folder: string, subject: string): Promise<void> {
    await eventually(
      () => this.#headersOf(user, folder),
      (headers) => headers.includes(`Subject: ${subject}`),
      (headers) => Promise.resolve(`no ${subject} in ${folder} of ${user}:\n${headers}`),
    )
  }

  async #headersOf(user: string, folder: string): Promise<string> {
    const client = await ImapClient.login({ port: await this.port('door', 9993), user, password: 'demo' })
    try {
      await client.command(`SELECT ${folder}`)
      return await client.command('UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
    } finally {
      client.close()
    }
  }

  /** How many samples were taken so far. */
  async taken(): Promise<number> {
    return (await this.said('internet')).split(': 250 ').length - 1
  }

  /** Resolves when some more were. */
  async takesMore(): Promise<void> {
    const before = await this.taken()
    await eventually(
      () => this.taken(),
      (now) => now >= before + 3,
      (now) => Promise.resolve(`${now} samples were taken, not ${before + 3}`),
    )
  }
}
