import { readFileSync, statSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Features } from './features.ts'
import { readLearned } from './learned-mail.ts'
import { decodeModel, encodeModel, judge } from './model.ts'
import type { Judgement, Model } from './model.ts'
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
  readonly model: Model
  /** Why the model of this site is not in use, if there is one. */
  readonly trouble: string | undefined
  judge(features: Features): Judgement
}

/** The model of this site, as soon as there is one, else the starter. A new one is taken without a restart, by all processes. */
export function openClassifier(dataFolder: string, now: () => number): Classifier {
  const path = classifierFiles(dataFolder).model
  let starter: Model | undefined
  let current: { readonly version: string; readonly model: Model; readonly trouble?: string } | undefined
  let lookedAt = Number.NEGATIVE_INFINITY

  function model(): Model {
    if (current !== undefined && Math.abs(now() - lookedAt) < lookAgainMs) return current.model
    lookedAt = now()
    const version = versionOf(path)
    if (current?.version !== version) current = { version, ...load(version) }
    return current.model
  }

  function load(version: string): { readonly model: Model; readonly trouble?: string } {
    starter ??= starterModel()
    if (version === '') return { model: starter }
    try {
      return { model: decodeModel(readFileSync(path)) }
    } catch (error) {
      return { model: current?.model ?? starter, trouble: `${path}: ${(error as Error).message}` }
    }
  }

  return {
    get model() {
      return model()
    },
    get trouble() {
      return current?.trouble
    },
    judge: (features) => judge(model(), features),
  }
}

/** Empty when there is none. */
function versionOf(path: string): string {
  const state = statSync(path, { throwIfNoEntry: false })
  return state === undefined ? '' : `${state.mtimeMs}/${state.size}/${state.ino}`
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
