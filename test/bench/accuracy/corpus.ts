import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { featuresOf } from '../../../shared/classifier/features.ts'
import type { Sample } from '../../../shared/classifier/logistic.ts'

/** A labelled message. */
export interface Labelled extends Sample {
  /** `trec07`, `sa_spam1`: the collection it comes from. */
  readonly set: string
  /** 0 to 4, by its content: what of the corpus it is tested with. */
  readonly fold: number
  readonly path: string
  /** Milliseconds of one core, reading included. */
  readonly tookMs: number
}

export const folds = 5

/**
 * Unpacks the corpus (mail-dev.tar.xz with its manifest beside it) into a folder that is gone afterwards: it is other people's mail.
 * @throws Error when it is not there
 */
export async function withCorpus<T>(folder: string, work: (mails: readonly Labelled[]) => Promise<T>): Promise<T> {
  const archive = join(folder, 'mail-dev.tar.xz')
  if (!existsSync(archive)) throw new Error(`${archive} is not there: give the folder that has it`)
  const unpacked = mkdtempSync(join(tmpdir(), 'sluice-corpus-'))
  try {
    execFileSync('tar', ['xf', archive, '-C', unpacked])
    return await work(readCorpus(unpacked, readFileSync(join(folder, 'mail-dev.manifest.tsv'), 'utf8')))
  } finally {
    rmSync(unpacked, { recursive: true })
  }
}

function readCorpus(unpacked: string, manifest: string): readonly Labelled[] {
  const [, ...lines] = manifest.trimEnd().split('\n')
  return lines.map((line) => {
    const [file = '', label = '', set = '', , , , , , sum = ''] = line.split('\t')
    const path = join(unpacked, file)
    const raw = readFileSync(path)
    const startedAt = performance.now()
    const features = featuresOf(raw)
    const tookMs = performance.now() - startedAt
    return { features, isSpam: label === 'spam', set, fold: Number.parseInt(sum.slice(0, 8), 16) % folds, path, tookMs }
  })
}
