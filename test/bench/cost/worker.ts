import { cpuUsage } from 'node:process'

import { openFilter } from '../../../services/filter/index.ts'
import { bannedSettings, stageMessage, testContext } from '../../../services/filter/testing.ts'
import { offline, scanMessage } from '../../../services/filter/offline.ts'
import { readMessages } from './messages.ts'

/** A process of the filter, for its share of the messages. */
export interface Share {
  readonly files: readonly string[]
  readonly rounds: number
  readonly dataFolder: string
}

export interface ShareDone {
  readonly messages: number
  readonly cpuMs: number
  readonly rssBytes: number
}

const atOnce = 16

process.once('message', (share: Share) => void work(share))

/** Says `ready`, waits for a word, filters, and tells what it took. */
async function work({ files, rounds, dataFolder }: Share): Promise<void> {
  const { context } = testContext(offline, {
    spam: { junk: 5, engines: [{ kind: 'builtin', weight: 1, classifier: true }] },
    banned: bannedSettings(),
  })
  const stage = await openFilter({ ...context, dataFolder }, 1)
  const messages = readMessages(files).map((content) =>
    stageMessage(content, scanMessage(content, { recipients: [], tags: [] }).envelope),
  )
  const filterAll = async (count: number): Promise<void> => {
    let next = 0
    const lane = async (): Promise<void> => {
      for (;;) {
        const place = next++
        const message = messages[place % messages.length]
        if (place >= count || message === undefined) return
        await stage.handle(message, { ...context, signal: new AbortController().signal })
      }
    }
    await Promise.all(Array.from({ length: atOnce }, lane))
  }
  await filterAll(Math.min(100, messages.length))
  process.send?.('ready')
  await new Promise((resolve) => process.once('message', resolve))
  const before = cpuUsage()
  await filterAll(messages.length * rounds)
  const { user, system } = cpuUsage(before)
  const done: ShareDone = {
    messages: messages.length * rounds,
    cpuMs: (user + system) / 1_000,
    rssBytes: process.memoryUsage.rss(),
  }
  process.send?.(done)
  await stage.close()
  process.disconnect()
}
