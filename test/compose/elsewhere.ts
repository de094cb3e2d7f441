import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { docker, eventually } from './containers.ts'
import { type ComposeProject } from './project.ts'

/** What a mail server of others has been given. */
export interface SunkMail {
  /** X-Test-Id. */
  readonly id: string
  readonly from: string
  readonly recipients: readonly string[]
  readonly content: Buffer
}

/** The domain elsewhere.test of a project: its mail server in a container, its zone in the project's resolver. */
export class Elsewhere {
  readonly #project: ComposeProject

  private constructor(project: ComposeProject) {
    this.#project = project
  }

  /** From now on mail to it finds its way by MX and A. */
  static async publish(project: ComposeProject): Promise<Elsewhere> {
    const [id = ''] = await project.containers('elsewhere')
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
    const address = (await docker('inspect', '-f', format, id)).trim()
    const records = ['elsewhere.test. MX 10 mx.elsewhere.test.', `mx.elsewhere.test. A ${address}`]
    const lines = ['local-zone: "elsewhere.test." static', ...records.map((record) => `local-data: "${record}"`)]
    await writeFile(join(project.zones, 'elsewhere.conf'), `server:\n  ${lines.join('\n  ')}\n`)
    await project.compose('exec', '-T', 'unbound', 'unbound-control', '-c', '/etc/sluice/unbound.conf', 'reload')
    return new Elsewhere(project)
  }

  async mails(): Promise<readonly SunkMail[]> {
    const lines = await this.#project.logged('elsewhere')
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
        const story = await this.#project.ctl('find', `<${missing[0]}@remote.test>`, '--json')
        return `elsewhere never got ${missing.join(' ')}\nof the first: ${story}\n${await this.#project.ctl('show', 'queue')}`
      },
    )
  }
}
