import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { jobSchema } from '../../shared/queue/job.ts'
import { root } from '../support/fixtures.ts'
import { run } from '../support/process.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { docker } from './engine.ts'
import { thisVersion, type Version } from './project.ts'

/**
 * The version before this one: the commit that SLUICE_UPGRADE_FROM names, else the newest tag, else the commit before. Where the clone
 * has no history this version stands for it.
 */
export async function versionBefore(): Promise<Version & { remove(): Promise<void> }> {
  const commit = await commitBefore()
  if (commit === undefined) return { ...thisVersion, remove: () => Promise.resolve() }
  const { path, remove } = await tempFolder('before')
  const archive = join(path, 'before.tar')
  const folder = join(path, 'clone')
  await mkdir(folder)
  await git('archive', '-o', archive, commit)
  await run('tar', ['-xf', archive, '-C', folder])
  const image = 'sluice-test:before'
  await docker('buildx', 'build', '--load', '-q', '-t', image, '-f', join(folder, 'deploy/Dockerfile'), folder)
  return { folder, image, remove }
}

/** What is to come: jobs of a schema that this version has never seen. */
export async function versionAfter(): Promise<Version> {
  const next = `s/jobSchema = ${jobSchema};/jobSchema = ${jobSchema + 1};/`
  const image = 'sluice-test:after'
  await built(image, ['USER root', `RUN sed -i '${next}' /sluice/shared/queue/job.js`, 'USER node'])
  return { folder: root, image }
}

/** Another image of the same. */
export async function sameVersion(): Promise<Version> {
  const image = 'sluice-test:same'
  await built(image, ['LABEL test=same'])
  return { folder: root, image }
}

/** This version, and these lines of a Dockerfile. */
async function built(image: string, lines: readonly string[]): Promise<void> {
  const { path, remove } = await tempFolder('image')
  try {
    const file = join(path, 'Dockerfile')
    await writeFile(file, `${[`FROM ${thisVersion.image}`, ...lines].join('\n')}\n`)
    await docker('buildx', 'build', '--load', '-q', '-t', image, '-f', file, path)
  } finally {
    await remove()
  }
}

async function commitBefore(): Promise<string | undefined> {
  const named = process.env['SLUICE_UPGRADE_FROM']
  if (named !== undefined) return named
  return (await git('describe', '--tags', '--abbrev=0', 'HEAD^')) ?? git('rev-parse', '--verify', '-q', 'HEAD^')
}

/** @returns `undefined` where git has no answer. */
async function git(...words: readonly string[]): Promise<string | undefined> {
  const { code, stdout } = await run('git', words, { cwd: root })
  return code === 0 ? stdout.trim() : undefined
}
