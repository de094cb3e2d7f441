import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { docker, eventually } from './engine.ts'
import type { Place } from './place.ts'

/** What a mail server of others has been given. */
export interface SunkMail {
  /** X-Test-Id. */
  readonly id: string
  readonly from: string
  readonly recipients: readonly string[]
  readonly content: Buffer
}

/** Its resolvers include what is in a folder. */
interface ResolvingPlace extends Place {
  readonly zones: string
}

/** The domain elsewhere.test of a place: its mail server in a container, its zone in the resolvers there. */
export class Elsewhere {
  readonly #place: ResolvingPlace

  private constructor(place: ResolvingPlace) {
    this.#place = place
  }

  /** From now on mail to it finds its way by MX and A. */
  static async publish(place: ResolvingPlace): Promise<Elsewhere> {
    const [id = ''] = await place.containers('elsewhere')
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
    const address = (await docker('inspect', '-f', format, id)).trim()
    const records = ['elsewhere.test. MX 10 mx.elsewhere.test.', `mx.elsewhere.test. A ${address}`]
    const lines = ['local-zone: "elsewhere.test." static', ...records.map((record) => `local-data: "${record}"`)]
    await writeFile(join(place.zones, 'elsewhere.conf'), `server:\n  ${lines.join('\n  ')}\n`)
    for (const id of await place.containers('unbound'))
      await docker('exec', id, 'unbound-control', '-c', '/etc/sluice/unbound.conf', 'reload')
    return new Elsewhere(place)
  }

  async mails(): Promise<readonly SunkMail[]> {
    const lines = await this.#place.logged('elsewhere')
    return lines.map((line) => {
      const { id, from, recipients, content } = line as unknown as SunkMail & { readonly content: string }
      return { id, from, recipients, content: Buffer.from(content, 'base64') }
    })
  }

  /** Resolves with all that came when those are there. */
  async receives(ids: Iterable<string>): Promise<readonly SunkMail[]> {
    const wanted = [...ids]
    return eventually(
      () => this.mails(),
      (mails) => {
        const there = new Set(mails.map(({ id }) => id))
        return wanted.every((id) => there.has(id))
      },
      async (mails) => {
        const there = new Set(mails.map(({ id }) => id))
        const missing = wanted.filter((id) => !there.has(id))
        const story = await this.#place.ctl('find', `<${missing[0]}@remote.test>`, '--json')
        return `elsewhere never got ${missing.join(' ')}\nof the first: ${story}\n${await this.#place.ctl('show', 'queue')}`
      },
    )
  }
}
