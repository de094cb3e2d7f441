import { createHash, randomUUID } from 'node:crypto'
import { access, link, mkdir, readFile, readdir, rename, rmdir, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { ReceivedReport } from './model.ts'

/** Folder of all that was reported to us, in folders of a month each: `2026-11/dmarc-<hash>.json`. */
export function receivedReportsFolder(dataFolder: string): string {
  return join(dataFolder, 'reports', 'received')
}

/** `known`: the same report was kept before, and stays as it is. */
export type Kept = 'kept' | 'known'

const filePattern = /^(?:dmarc|tls|abuse)-[0-9a-f]{32}\.json$/
const monthPattern = /^\d{4}-\d{2}$/

/**
 * Keeps a report once, whoever keeps it at the same time: the same one of the same mail domain, brought again, is known. Only one that came by mail that passed
 * DMARC takes the place of one that did not, so that nobody can keep a true report away by a forged one that is faster.
 */
export async function keepReport(folder: string, report: ReceivedReport): Promise<Kept> {
  const name = `${report.kind}-${hashOf(report)}.json`
  const month = join(folder, new Date(report.receivedAt).toISOString().slice(0, 7))
  await mkdir(month, { recursive: true })
  const known = await findFile(folder, name)
  const part = join(month, `.${randomUUID()}.part`)
  try {
    await writeFile(part, `${JSON.stringify(report)}\n`, { mode: 0o640 })
    if (known !== undefined) return await replace(known, part, report)
    await link(part, join(month, name))
    return 'kept'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return 'known'
  } finally {
    await unlink(part).catch(() => undefined)
  }
}

async function replace(known: string, part: string, report: ReceivedReport): Promise<Kept> {
  const before = await readReport(known)
  // A second run of the same message.
  if (before?.message === report.message) return 'kept'
  if (before !== undefined && (before.mail.dmarc === 'pass' || report.mail.dmarc !== 'pass')) return 'known'
  await rename(part, known)
  return 'kept'
}

/** What makes it the same report; complaints have no name, so each is one. */
function hashOf(report: ReceivedReport): string {
  const mail = report.mail.domain ?? ''
  return createHash('sha256')
    .update(JSON.stringify([mail, ...identityOf(report)]))
    .digest('hex')
    .slice(0, 32)
}

function identityOf(report: ReceivedReport): readonly (string | number)[] {
  switch (report.kind) {
    case 'dmarc':
      return [report.org, report.reportId, report.domain, report.beginAt]
    case 'tls':
      return [report.org, report.reportId, report.beginAt, ...report.policies.map(({ domain }) => domain)]
    case 'abuse':
      return [report.message]
  }
}

async function findFile(folder: string, name: string): Promise<string | undefined> {
  for (const month of await monthsIn(folder)) {
    const path = join(folder, month, name)
    const isThere = await access(path).then(
      () => true,
      () => false,
    )
    if (isThere) return path
  }
  return undefined
}

/** A report file and when it was written, epoch ms. */
export interface ReportFile {
  readonly path: string
  readonly kind: ReceivedReport['kind']
  readonly writtenAt: number
}

/** Files written since then, the newest month first; those that vanish meanwhile are left out. */
export async function reportFiles(folder: string, sinceAt: number): Promise<readonly ReportFile[]> {
  const since = new Date(sinceAt).toISOString().slice(0, 7)
  const files: ReportFile[] = []
  for (const month of (await monthsIn(folder)).filter((one) => one >= since).toReversed())
    files.push(...(await filesIn(join(folder, month))).filter(({ writtenAt }) => writtenAt >= sinceAt))
  return files
}

async function filesIn(month: string): Promise<readonly ReportFile[]> {
  const names = (await readdir(month).catch(() => [])).filter((name) => filePattern.test(name))
  const found: ReportFile[] = []
  for (const name of names) {
    const path = join(month, name)
    const file = await stat(path).catch(() => undefined)
    const kind = name.slice(0, name.indexOf('-')) as ReceivedReport['kind']
    if (file !== undefined) found.push({ path, kind, writtenAt: file.mtimeMs })
  }
  return found
}

/** Undefined: it is gone, or damaged. */
export async function readReport(path: string): Promise<ReceivedReport | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ReceivedReport
  } catch {
    return undefined
  }
}

/** Deletes reports written before then, what a killed process left, and folders that are empty. @returns how many reports */
export async function expireReports(folder: string, beforeAt: number): Promise<number> {
  let removed = 0
  for (const month of await monthsIn(folder)) {
    const path = join(folder, month)
    for (const name of await readdir(path).catch(() => [])) {
      const file = await stat(join(path, name)).catch(() => undefined)
      if (file === undefined || file.mtimeMs >= beforeAt) continue
      await unlink(join(path, name)).catch(() => undefined)
      if (filePattern.test(name)) removed += 1
    }
    await rmdir(path).catch(() => undefined)
  }
  return removed
}

async function monthsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => monthPattern.test(name)).toSorted()
}
