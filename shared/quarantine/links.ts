import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { codeOf } from '../file-lock.ts'
import type { ReversePath } from '../mail/address.ts'
import type { Quarantine } from '../mail/disposition.ts'
import { isMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'

/** What a link of a digest does; `ham`: releases and teaches that it is wanted; `block`: blocks the sender and deletes. */
export type LinkAction = 'release' | 'ham' | 'delete' | 'block'

export const linkActions: readonly LinkAction[] = ['release', 'ham', 'delete', 'block']

/** A virus is let go by operators only, and who has no name cannot be blocked. */
export function isOffered(action: LinkAction, kind: Quarantine, from: ReversePath): boolean {
  switch (action) {
    case 'release':
      return kind !== 'virus'
    case 'ham':
      return kind === 'spam'
    case 'delete':
      return true
    case 'block':
      return from !== null
  }
}

/** Who has it may do one thing with one recipient's copy of one message, until it expires. */
export interface QuarantineLink {
  readonly id: MessageId
  /** Index into the envelope's recipients. */
  readonly recipient: number
  readonly action: LinkAction
  /** Epoch ms, whole seconds. */
  readonly expiresAt: number
}

/** Links that nobody else can make: an HMAC over all they say, with a key of this data folder. */
export interface LinkSigner {
  /** The last part of the path. */
  sign(link: QuarantineLink): string
  /** Undefined: it is none of ours, was changed, or is too old. */
  verify(text: string, nowAt: number): QuarantineLink | undefined
}

const keyOctets = 32
const pattern = /^([0-9a-z]{18})\.(\d{1,6})\.([a-z]{3,8})\.([0-9a-z]{6,9})\.([\w-]{43})$/

export function createLinkSigner(key: Buffer): LinkSigner {
  const macOf = (said: string): string =>
    createHmac('sha256', key).update(`quarantine link 1 ${said}`).digest('base64url')
  return {
    sign({ id, recipient, action, expiresAt }) {
      const said = `${id}.${recipient}.${action}.${Math.floor(expiresAt / 1000).toString(36)}`
      return `${said}.${macOf(said)}`
    },
    verify(text, nowAt) {
      const [, id = '', recipient, word, expires = '', mac = ''] = pattern.exec(text) ?? []
      const action = linkActions.find((one) => one === word)
      if (!isMessageId(id) || action === undefined) return undefined
      const right = Buffer.from(macOf(text.slice(0, text.lastIndexOf('.'))))
      const given = Buffer.from(mac)
      if (right.length !== given.length || !timingSafeEqual(right, given)) return undefined
      const expiresAt = Number.parseInt(expires, 36) * 1000
      return expiresAt <= nowAt ? undefined : { id, recipient: Number(recipient), action, expiresAt }
    },
  }
}

/** The key of the data folder, made when there is none; all processes have the same. */
export async function readLinkKey(dataFolder: string): Promise<Buffer> {
  const path = join(dataFolder, 'quarantine', 'link.key')
  const known = await keyIn(path)
  if (known !== undefined) return known
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const fresh = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  await writeFile(fresh, `${randomBytes(keyOctets).toString('hex')}\n`, { mode: 0o600, flush: true })
  try {
    // Whole or not at all, and the first one stands.
    await link(fresh, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    await rm(fresh, { force: true })
  }
  return (await keyIn(path)) ?? readLinkKey(dataFolder)
}

async function keyIn(path: string): Promise<Buffer | undefined> {
  try {
    const key = Buffer.from((await readFile(path, 'utf8')).trim(), 'hex')
    if (key.length === keyOctets) return key
    throw new Error(`${path} is no key: remove it, and a new one is made`)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}
