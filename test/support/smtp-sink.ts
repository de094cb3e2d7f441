import { join } from 'node:path'

import { findPeer } from './peer.ts'
import { freePort } from './free-port.ts'
import { startProcess, waitForPort } from './process.ts'
import { Changes } from './until.ts'

export interface SmtpSinkOptions {
  readonly lmtp?: boolean
  /** Folder for one file per message, in smtp-sink's dump format. */
  readonly dumpFolder?: string
  /** Further options as in smtp-sink(1), e.g. `['-r', 'RCPT']`. */
  readonly args?: readonly string[]
}

export interface SmtpSink {
  readonly port: number
  readonly pid: number
  /** Messages whose final dot was answered. */
  readonly count: number
  waitForCount(count: number, timeoutMs?: number): Promise<void>
  stop(): Promise<void>
}

/** Postfix's smtp-sink on a free port, its running counters read from its output. */
export async function startSmtpSink(options: SmtpSinkOptions = {}): Promise<SmtpSink> {
  const port = await freePort()
  const process = startProcess(
    findPeer('smtp-sink') ?? 'smtp-sink',
    [
      '-c',
      ...(options.lmtp === true ? ['-L'] : []),
      ...(options.dumpFolder === undefined ? [] : ['-d', join(options.dumpFolder, '%Y%m%d%H%M%S.')]),
      ...asUnprivileged(),
      ...(options.args ?? []),
      `127.0.0.1:${port}`,
      '512',
    ],
    { name: 'smtp-sink' },
  )
  const changes = new Changes()
  let count = 0
  process.onLine((line) => {
    const match = /mesg=(\d+)/.exec(line)
    if (match === null) return
    count = Number(match[1])
    changes.changed()
  })
  await waitForPort({ port }, process)
  return {
    port,
    pid: process.pid,
    get count() {
      return count
    },
    waitForCount: async (wanted, timeoutMs = 120_000) => {
      await changes.until(
        timeoutMs,
        () => `${wanted} messages at smtp-sink; ${count} came`,
        () => (count >= wanted ? true : undefined),
      )
    },
    stop: async () => {
      await process.stop()
    },
  }
}

/** As root, smtp-sink insists on a user to become. */
function asUnprivileged(): readonly string[] {
  return process.getuid?.() === 0 ? ['-u', 'nobody'] : []
}
