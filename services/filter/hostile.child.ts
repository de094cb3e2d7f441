import { createReadStream, readFileSync, statSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { StageMessage } from '../../shared/pipeline/stage.ts'
import { openFilter } from './index.ts'
import { bannedSettings, headerLength, stageMessage, testContext, testEnvelope, zoneResolver } from './testing.ts'

/** Judges the messages of a folder one after the other; a line of JSON says of each what became of it, a last one how much memory it took. */
async function judgeAll(folder: string, dataFolder: string): Promise<void> {
  const { context, events } = testContext(zoneResolver({}), {
    banned: bannedSettings({ macros: 'quarantine', encrypted: 'quarantine' }),
    spam: { junk: 5, engines: [{ kind: 'builtin', weight: 1, classifier: true }] },
  })
  const stage = await openFilter({ ...context, dataFolder }, 1)
  for (const name of await readdir(folder)) {
    const { kind } = await stage.handle(onDisk(join(folder, name)), context)
    const [event] = events.splice(0) as { readonly verdict?: string; readonly reason?: string }[]
    say({ name, kind, verdict: event?.verdict, reason: event?.reason })
  }
  await stage.close()
  say({ maxRssMb: Math.round(process.resourceUsage().maxRSS / 1024) })
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** As the spool gives it: in pieces, and whole only if somebody asks for that. */
function onDisk(path: string): StageMessage {
  const { size } = statSync(path)
  const header = size === 0 ? 0 : headerLength(readFileSync(path).subarray(0, 4_194_304))
  const message = stageMessage(Buffer.alloc(0), testEnvelope())
  const { stored } = message
  return {
    ...message,
    sizeBytes: size,
    stored: {
      ...stored,
      locator: { ...stored.locator, sizeBytes: size, headerBytes: header },
      header: async () => Buffer.from((await readFile(path)).subarray(0, header)),
      content: () => readFile(path),
      stream: () => createReadStream(path),
    },
  }
}

await judgeAll(process.argv[2] ?? '', process.argv[3] ?? '')
