import { readFileSync } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { codeOf } from '../file-lock.ts'
import { readLearned } from './learned-mail.ts'
import { decodeModel, encodeModel } from './model.ts'
import type { Model } from './model.ts'
import { tooFew, trainSite } from './site-model.ts'
import type { TooFew } from './site-model.ts'

const starterFile = fileURLToPath(new URL('./starter.model', import.meta.url))
const lookAgainMs = 2_000

/** Files of the classifier in the data folder. */
export function classifierFiles(dataFolder: string): { readonly learned: string; readonly model: string } {
  const folder = join(dataFolder, 'classifier')
  return { learned: join(folder, 'learned'), model: join(folder, 'site.model') }
}

/** What came with Sluice. */
export function starterModel(): Model {
  return decodeModel(readFileSync(starterFile))
}

export interface Classifier {
  /** In force now: looks at most every 2 s whether there is another, and waits for it, off the event loop. */
  model(): Promise<Model>
  /** Why the model of this site is not in use, if there is one; as of the last look. */
  readonly trouble: string | undefined
}

interface Loaded {
  readonly version: string
  readonly model: Model
  readonly trouble?: string
}

/** The model of this site, as soon as there is one, else the starter. A new one is taken without a restart, by all processes. */
export function openClassifier(dataFolder: string, now: () => number): Classifier {
  const path = classifierFiles(dataFolder).model
  let starter: Model | undefined
  let current: Loaded | undefined
  let looking: Promise<Loaded> | undefined
  let lookedAt = Number.NEGATIVE_INFINITY

  async function look(): Promise<Loaded> {
    const before = current
    try {
      const version = await versionOf(path)
      if (before?.version === version) return before
      return { version, model: version === '' ? await starterInForce() : decodeModel(await readFile(path)) }
    } catch (error) {
      // Looked at again, for it may be mended without a new version.
      const trouble = `${path}: ${(error as Error).message}`
      return { version: unknown, model: before?.model ?? (await starterInForce()), trouble }
    }
  }

  async function starterInForce(): Promise<Model> {
    starter ??= decodeModel(await readFile(starterFile))
    return starter
  }

  return {
    async model() {
      if (current !== undefined && Math.abs(now() - lookedAt) < lookAgainMs) return current.model
      lookedAt = now()
      looking ??= look().finally(() => {
        looking = undefined
      })
      current = await looking
      return current.model
    },
    get trouble() {
      return current?.trouble
    },
  }
}

const unknown = '?'

/** Empty when there is none. */
async function versionOf(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path)
    return `${mtimeMs}/${size}/${ino}`
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return ''
    throw error
  }
}

export type Training = { readonly kind: 'trained'; readonly model: Model } | ({ readonly kind: 'too few' } & TooFew)

/** Makes the model of this site anew from all that was learned. With too little of it there is none, and the starter is in force. */
export async function trainAgain(dataFolder: string): Promise<Training> {
  const files = classifierFiles(dataFolder)
  const learned = await readLearned(files.learned)
  const missing = tooFew(learned)
  if (missing !== undefined) {
    await rm(files.model, { force: true })
    return { kind: 'too few', ...missing }
  }
  const file = encodeModel(trainSite(learned, starterModel()))
  await mkdir(join(dataFolder, 'classifier'), { recursive: true, mode: 0o700 })
  const next = `${files.model}.${process.pid}`
  await writeFile(next, file, { mode: 0o600 })
  await rename(next, files.model)
  return { kind: 'trained', model: decodeModel(file) }
}
