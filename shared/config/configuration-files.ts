import { statSync } from 'node:fs'
import { stat } from 'node:fs/promises'

import { loadConfiguration } from './load.ts'
import type { LoadedConfiguration, LoadOptions } from './load.ts'

/** smtpd.conf, pipeline.conf and what they include, and whether they are still what was read last. */
export class ConfigurationFiles {
  readonly options: LoadOptions
  /** As each file was when it was read, by path. */
  #read: ReadonlyMap<string, string> = new Map()

  constructor(options: LoadOptions) {
    this.options = options
  }

  /** @param texts in place of those on disk. @throws ConfigurationError with everything that is wrong */
  async load(texts?: ReadonlyMap<string, string>): Promise<LoadedConfiguration> {
    const read = new Map<string, string>()
    this.#read = read
    return loadConfiguration({
      ...this.options,
      ...(texts === undefined ? {} : { texts }),
      onRead: (path) => read.set(path, versionNow(path)),
    })
  }

  /**
   * What is different on disk, in words that stay the same while the files do; empty when nothing is. Sees a file that was
   * written to, replaced, or reached through a link that leads elsewhere now.
   */
  async difference(): Promise<string> {
    const changed: string[] = []
    for (const [path, version] of this.#read) {
      const now = await stat(path, { bigint: true }).then(versionOf, () => absent)
      if (now !== version) changed.push(`${path} ${now}`)
    }
    return changed.join('\n')
  }
}

const absent = 'absent'

/** Before the file is read: what is written to it meanwhile is a difference. */
function versionNow(path: string): string {
  try {
    return versionOf(statSync(path, { bigint: true }))
  } catch {
    return absent
  }
}

function versionOf(file: {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
}): string {
  return `${file.dev}/${file.ino}/${file.size}/${file.mtimeNs}`
}
