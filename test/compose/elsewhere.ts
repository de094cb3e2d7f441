import { type ComposeProject, docker, eventually } from './project.ts'

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

  /** From now on, until the resolver or the server is started again, mail to it finds its way by MX and A. */
  static async publish(project: ComposeProject): Promise<Elsewhere> {
    const [id = ''] = await project.containers('elsewhere')
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
    const address = (await docker('inspect', '-f', format, id)).trim()
    const control = ['exec', '-T', 'unbound', 'unbound-control', '-c', '/etc/sluice/unbound.conf']
    await project.compose(...control, 'local_zone', 'elsewhere.test', 'static')
    await project.compose(...control, 'local_data', 'elsewhere.test', 'MX', '10', 'mx.elsewhere.test')
    await project.compose(...control, 'local_data', 'mx.elsewhere.test', 'A', address)
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
  async receives(wanted: Iterable<string>): Promise<readonly SunkMail[]> {
    return eventually(
      () => this.mails(),
      (mails) => {
        const there = new Set(mails.map(({ id }) => id))
        return [...wanted].every((id) => there.has(id))
      },
      async (mails) => {
        const there = new Set(mails.map(({ id }) => id))
        const missing = [...wanted].filter((id) => !there.has(id))
        return `elsewhere never got ${missing.join(' ')}\n${await this.#project.ctl('show', 'queue')}`
      },
    )
  }
}
