import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Html } from '../../shared/html.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { HeldCopy, Quarantine } from '../../shared/operate/quarantine.ts'
import { describeLesson } from '../../shared/operate/spool-lessons.ts'
import type { SpoolLessons } from '../../shared/operate/spool-lessons.ts'
import { isOffered } from '../../shared/quarantine/links.ts'
import type { LinkAction, LinkSigner, QuarantineLink } from '../../shared/quarantine/links.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import { linkRoute } from './access.ts'
import type { Access } from './access.ts'
import { AttemptLimit } from './attempt-limit.ts'
import { householdOf } from './client-address.ts'
import { bareLayout } from './pages/layout.ts'
import { linkDonePage, linkPage, linkProblemPage } from './pages/quarantine-link-page.ts'

/** What the links of digests can do. */
export interface QuarantineDesk {
  readonly quarantine: Quarantine
  readonly lessons: SpoolLessons
  /** With the key of the data folder. */
  signer(): Promise<LinkSigner>
  /** Refuses mail from the copy's sender to its recipient. @throws OperationError */
  block(copy: HeldCopy, by: string): Promise<Mailbox>
}

export interface LinkParts {
  readonly desk: QuarantineDesk
  readonly access: Access
  readonly audit: Audit
  readonly clock: Clock
  /** Nobody can change a thing here. */
  isReadOnly(): boolean
}

const [mostRequests, perMs] = [100, 600_000]

/** Programs that look at mail follow its links: opening one changes nothing, only its form does. */
export function addQuarantineLinks(app: FastifyInstance, parts: LinkParts): void {
  const limit = new AttemptLimit(() => parts.clock.now(), mostRequests, perMs)

  const answer = (method: 'GET' | 'POST') => async (request: FastifyRequest, reply: FastifyReply) => {
    const { address } = parts.access.client(request)
    const waitMs = limit.take(householdOf(address))
    if (waitMs > 0)
      return sendPage(reply.code(429).header('retry-after', Math.ceil(waitMs / 1000)), problem('too many'))
    const { link: text } = request.params as { readonly link: string }
    const link = (await parts.desk.signer()).verify(text, parts.clock.now())
    if (link === undefined) return sendPage(reply.code(404), problem('not good'))
    try {
      const copy = await parts.desk.quarantine.find(link.id, link.recipient)
      if (copy === undefined) return sendPage(reply.code(410), problem('not held'))
      if (!isOffered(link.action, copy.kind, copy.from)) return sendPage(reply.code(403), problem('not offered'))
      if (method === 'GET') return sendPage(reply, linkPage(copy, link.action))
      if (parts.isReadOnly()) return sendPage(reply.code(403), problem('read-only'))
      return sendPage(reply, linkDonePage(await act(parts, { link, copy, address })))
    } catch (error) {
      if (error instanceof QueueUnavailableError) return sendPage(reply.code(503), problem('later'))
      throw error
    }
  }
  app.get(linkRoute, answer('GET'))
  app.post(linkRoute, answer('POST'))
}

const problem = linkProblemPage

function sendPage(reply: FastifyReply, page: { readonly title: string; readonly main: Html }): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(bareLayout(page.title, page.main).text)
}

interface Followed {
  readonly link: QuarantineLink
  readonly copy: HeldCopy
  readonly address: string
}

async function act({ desk, audit }: LinkParts, { link, copy, address }: Followed): Promise<string> {
  const by = `${copy.mailbox} (digest)`
  const detail = await carryOut(desk, link.action, copy, by)
  audit.record({ by, from: address, action: auditNames[link.action], about: copy.id, outcome: 'done', detail })
  return detail
}

const auditNames: Readonly<Record<LinkAction, string>> = {
  release: 'release message',
  ham: 'release message and learn it as ham',
  delete: 'remove message',
  block: 'block sender and remove message',
}

async function carryOut(desk: QuarantineDesk, action: LinkAction, copy: HeldCopy, by: string): Promise<string> {
  switch (action) {
    case 'release':
      await desk.quarantine.release(copy, by)
      return 'it is on its way to the mailbox'
    case 'ham': {
      await desk.quarantine.release(copy, by)
      return `it is on its way to the mailbox; ${describeLesson(await desk.lessons.learn(copy.id, 'ham'), 'ham')}`
    }
    case 'delete':
      await desk.quarantine.remove(copy, by)
      return 'it is deleted'
    case 'block': {
      const sender = await desk.block(copy, by)
      await desk.quarantine.remove(copy, by)
      return `it is deleted, and mail from ${sender} is refused from now on`
    }
  }
}
