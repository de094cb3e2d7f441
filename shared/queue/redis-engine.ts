import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

import type { Logger } from '../log.ts'
import type { ServerProgram } from './redis-server.ts'

const run = promisify(execFile)

const serverNames = ['redis-server', 'valkey-server']

/** What redis-server of Debian 12 needs, for when apt cannot tell. */
const knownPackages = [
  'redis-server',
  'redis-tools',
  'libjemalloc2',
  'liblzf1',
  'libatomic1',
  'liblua5.1-0',
  'libhiredis0.14',
]

/** A redis-server or valkey-server in the folders of `searchPath` (the form of PATH). */
export async function findInPath(searchPath: string): Promise<ServerProgram | undefined> {
  for (const name of serverNames) {
    for (const folder of searchPath.split(delimiter).filter((part) => part !== '')) {
      const command = join(folder, name)
      if (await isExecutable(command)) return { command }
    }
  }
  return undefined
}

/** The program a former download left in the engine folder. */
export async function findInEngine(engineFolder: string): Promise<ServerProgram | undefined> {
  const root = join(engineFolder, 'root')
  for (const name of serverNames) {
    const command = join(root, 'usr', 'bin', name)
    if (await isExecutable(command)) return { command, libraryPath: await libraryPathOf(root) }
  }
  return undefined
}

/**
 * Fetches redis-server (or valkey-server) and its libraries with apt-get, which checks the signatures, and unpacks them into
 * the engine folder. Nothing is installed, no right is needed; where the system has no package lists, private ones are
 * fetched first.
 * @throws Error when apt-get or dpkg-deb is missing or fails.
 */
export async function downloadEngine(engineFolder: string, log: Logger, signal?: AbortSignal): Promise<ServerProgram> {
  await mkdir(engineFolder, { recursive: true })
  const work = await mkdtemp(join(engineFolder, 'download-'))
  try {
    const apt = await packageSource(work, log, signal)
    const packages = await packagesOf(apt, signal)
    log.info(
      { packages, folder: engineFolder },
      'no Redis found: fetching it with apt-get (only below the data folder)',
    )
    await run('apt-get', [...apt, 'download', ...packages], { cwd: work, signal, timeout: 120_000 })
    await unpack(work, join(engineFolder, 'root'), signal)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  const program = await findInEngine(engineFolder)
  if (program === undefined) throw new Error('the packages hold no redis-server')
  return program
}

/** Options for apt-get: the system's lists when they know Redis, else lists of our own. */
async function packageSource(work: string, log: Logger, signal: AbortSignal | undefined): Promise<readonly string[]> {
  const common = ['-q', '-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=', '-o', `Dir::Cache=${work}`]
  if (await knowsRedis(common, signal)) return common
  const state = join(work, 'apt')
  await Promise.all([
    mkdir(join(state, 'lists', 'partial'), { recursive: true }),
    mkdir(join(work, 'archives', 'partial'), { recursive: true }),
  ])
  const own = [...common, '-o', `Dir::State=${state}`, '-o', 'Dir::State::status=/var/lib/dpkg/status']
  log.info({ folder: state }, 'fetching package lists for Redis')
  await run('apt-get', [...own, 'update'], { signal, timeout: 120_000 })
  return own
}

async function knowsRedis(apt: readonly string[], signal: AbortSignal | undefined): Promise<boolean> {
  const { stdout } = await run('apt-cache', [...apt.filter((word) => word !== '-q'), 'madison', ...serverNames], {
    signal,
    timeout: 30_000,
  })
  return stdout.trim() !== ''
}

/** The server and those libraries the system lacks, as apt-get would install them. */
async function packagesOf(apt: readonly string[], signal: AbortSignal | undefined): Promise<readonly string[]> {
  for (const name of serverNames) {
    try {
      const words = [...apt, 'install', '--print-uris', '--yes', '--no-install-recommends', name]
      const { stdout } = await run('apt-get', words, { signal, timeout: 30_000 })
      const packages = [...stdout.matchAll(/^'[^']+' ([a-z0-9.+-]+)_\S+\.deb /gm)].map((match) => match[1] ?? '')
      const needed = packages.filter((one) => /^(?:redis|valkey|lib)/.test(one))
      if (needed.some((one) => /^(?:redis|valkey)/.test(one))) return needed
    } catch {
      // Not in this distribution, or the dependencies cannot be met: the next name, then the list we know.
    }
  }
  return knownPackages
}

/** All or nothing: the root appears by one rename. */
async function unpack(work: string, root: string, signal: AbortSignal | undefined): Promise<void> {
  const fresh = join(work, 'root')
  const archives = (await readdir(work)).filter((name) => name.endsWith('.deb'))
  for (const archive of archives) {
    await run('dpkg-deb', ['-x', join(work, archive), fresh], { signal, timeout: 60_000 })
  }
  await rm(root, { recursive: true, force: true })
  await rename(fresh, root)
}

/** All folders below usr/lib and lib that hold shared libraries. */
async function libraryPathOf(root: string): Promise<string> {
  const folders: string[] = []
  for (const base of [join(root, 'usr', 'lib'), join(root, 'lib')]) {
    const names = await readdir(base, { withFileTypes: true }).catch(() => [])
    for (const entry of names) if (entry.isDirectory() && entry.name.includes('-')) folders.push(join(base, entry.name))
    folders.push(base)
  }
  return folders.join(delimiter)
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
