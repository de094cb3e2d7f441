import type { BannedSettings } from '../../../shared/config/model.ts'
import type { TableSet } from '../../../shared/config/tables.ts'
import { isFromStranger } from '../authentication/engine.ts'
import type { Demand, Engine, ScanMessage } from '../engine.ts'
import { compileBanned, defaultBanned } from './banned-files.ts'
import type { BannedFiles } from './banned-files.ts'
import { MimeWalk } from './mime-walk.ts'
import type { FoundFile } from './mime-walk.ts'

/** Looks at the names and types of attached files, those in ZIP archives too. What our own users send is theirs to decide. */
export function createBannedEngine({ files, found }: BannedSettings, tables: TableSet): Engine {
  let compiled: { readonly entries: readonly string[]; readonly isBanned: BannedFiles } | undefined

  /** A table that has changed is compiled anew. @throws TableError */
  function banned(): BannedFiles {
    const entries = files === 'default' ? defaultBanned : tables.entries(files)
    if (compiled?.entries !== entries) compiled = { entries, isBanned: compileBanned(entries) }
    return compiled.isBanned
  }

  return {
    name: 'banned',
    applies: isFromStranger,
    async scan(message, signal) {
      const startedAt = performance.now()
      const file = await firstBanned(message, banned(), signal)
      const tookMs = performance.now() - startedAt
      if (file === undefined) return { status: 'ok', score: 0, symbols: [], tookMs }
      const text = describe(file)
      const action = found === 'tag' ? 'junk' : found
      const demand: Demand = { action, kind: 'banned', reason: `banned: ${text}` }
      return { status: 'ok', score: 0, symbols: [{ name: 'BANNED', score: 0, text }], tookMs, demand }
    },
    close: async () => {},
  }
}

async function firstBanned(
  message: ScanMessage,
  isBanned: BannedFiles,
  signal: AbortSignal,
): Promise<FoundFile | undefined> {
  const walk = new MimeWalk()
  const content = message.stream()
  try {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      signal.throwIfAborted()
      const file = walk.write(chunk).find(isBanned)
      if (file !== undefined) return file
    }
    return walk.end().find(isBanned)
  } finally {
    content.destroy()
  }
}

function describe({ kind, text, inside }: FoundFile): string {
  const shown = text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 100)
  const where =
    inside === undefined ? '' : ` in ${inside.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 100) || 'an archive'}`
  return kind === 'type' ? `type ${shown}${where}` : `${shown}${where}`
}
