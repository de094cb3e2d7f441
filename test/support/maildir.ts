import { existsSync, watch } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { Changes } from './until.ts'

export interface MailFile {
  readonly path: string
  /** The header section, line ends as LF. */
  readonly header: string
  readonly body: string
  readonly text: string
  /** Value of the first field of that name, unfolded. */
  field(name: string): string | undefined
  fields(name: string): readonly string[]
}

/** What a mail reader finds in a Maildir: the files of `new` and `cur`. */
export class Maildir {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  async messages(): Promise<readonly MailFile[]> {
    const folders = [join(this.path, 'new'), join(this.path, 'cur')]
    const paths = await Promise.all(
      folders.map(async (folder) => (await readdir(folder).catch(() => [])).map((name) => join(folder, name))),
    )
    const read = await Promise.all(paths.flat().sort().map(readMail))
    return read.filter((mail) => mail !== undefined)
  }

  /** Waits by watching the folder until it holds at least that many messages. */
  async waitForMessages(count: number, timeoutMs = 120_000): Promise<readonly MailFile[]> {
    const changes = new Changes()
    let latest: readonly MailFile[] = []
    let listing: Promise<void> | undefined
    const look = () => {
      listing = (listing ?? Promise.resolve()).then(async () => {
        latest = await this.messages()
        changes.changed()
      })
    }
    const watcher = watch(nearestFolder(this.path), { recursive: true }, look)
    // Recursive watching misses what appears in a folder in the moment the folder itself is made.
    const again = setInterval(look, 250)
    look()
    try {
      return await changes.until(
        timeoutMs,
        () => `${count} messages in ${this.path}; there are ${latest.length}`,
        () => (latest.length >= count ? latest : undefined),
      )
    } finally {
      clearInterval(again)
      watcher.close()
      await listing
    }
  }
}

/** The folder itself, or the first above it that exists: making it is up to the one who delivers. */
function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path))
}

/** `undefined` when it was moved away between listing and reading. */
async function readMail(path: string): Promise<MailFile | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : parseMail(path, text)
}

export function parseMail(path: string, raw: string): MailFile {
  const text = raw.replaceAll('\r\n', '\n')
  const end = text.indexOf('\n\n')
  const header = end < 0 ? text : text.slice(0, end + 1)
  const fields = (name: string) =>
    [...header.replaceAll(/\n[ \t]+/g, ' ').matchAll(new RegExp(`^${name}:[ \t]*(.*)$`, 'gim'))].map(
      (match) => match[1] ?? '',
    )
  return {
    path,
    text,
    header,
    body: end < 0 ? '' : text.slice(end + 2),
    fields,
    field: (name) => fields(name)[0],
  }
}
