import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

import { root } from './support/fixtures.ts'
import { countTests, type TestReport } from './support/report.ts'

/** The groups of tests, how many files of each run at a time, and when a file that hangs is given up. */
const groups = {
  unit: { folders: ['shared', 'services', 'test/deploy'], concurrency: 2, timeoutMs: 180_000 },
  scenarios: {
    folders: ['test/support', 'test/demo', 'test/bench', 'test/dialogs', 'test/scenarios'],
    concurrency: 2,
    timeoutMs: 600_000,
  },
} as const

type Group = keyof typeof groups

const usage = `usage: node --import tsx test/run.ts [${Object.keys(groups).join('|')} ...] [part of a file name ...]`

process.exitCode = await main(process.argv.slice(2))

/**
 * Runs the test files of the named groups, all without names; further words choose files by a part of their path. Fails
 * on a failure, on nothing executed, and where nobody may look the other way (CI=true, SLUICE_STRICT=1) on a skip.
 */
async function main(words: readonly string[]): Promise<number> {
  if (words.some((word) => word.startsWith('-'))) {
    console.error(usage)
    return 1
  }
  const named = words.filter(isGroup)
  const parts = words.filter((word) => !isGroup(word))
  const reports: TestReport[] = []
  for (const group of named.length > 0 ? named : (Object.keys(groups) as Group[])) {
    const files = findTests(groups[group].folders).filter(
      (file) => parts.length === 0 || parts.some((part) => file.includes(part)),
    )
    if (files.length > 0) reports.push(await runGroup(group, files))
  }
  return judge(reports)
}

function judge(reports: readonly TestReport[]): number {
  const sum = (count: (report: TestReport) => number) => reports.reduce((total, report) => total + count(report), 0)
  const skipped = reports.flatMap((report) => report.skipped)
  const executed = sum((report) => report.passed + report.failed)
  const failed = sum((report) => report.failed)
  if (skipped.length > 0) {
    console.log(`\nSKIPPED ${skipped.length}, these guarantees were not tested here:`)
    for (const { name, file, reason } of skipped) console.log(`  ${name} (${file}): ${reason}`)
  }
  if (reports.length > 1) {
    console.log('\nall groups together')
    console.log(`ℹ tests ${executed + skipped.length}`)
    console.log(`ℹ pass ${sum((report) => report.passed)}`)
    console.log(`ℹ fail ${failed}`)
    console.log(`ℹ skipped ${skipped.length}`)
  }
  const strict = process.env['CI'] === 'true' || process.env['SLUICE_STRICT'] === '1'
  if (executed === 0) console.error('no test was executed')
  if (strict && skipped.length > 0) console.error('skipped tests count as failures here (CI=true or SLUICE_STRICT=1)')
  return failed > 0 || executed === 0 || (strict && skipped.length > 0) ? 1 : 0
}

async function runGroup(group: Group, files: readonly string[]): Promise<TestReport> {
  console.log(`\n${group}: ${files.length} test files`)
  const { concurrency, timeoutMs } = groups[group]
  const events = run({ files: files.map((file) => join(root, file)), concurrency, timeout: timeoutMs })
  const counted = countTests(events)
  await pipeline(events.compose(new spec()), process.stdout, { end: false })
  return counted()
}

function findTests(folders: readonly string[]): readonly string[] {
  return folders
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, String(file))))
    .filter((file) => file.endsWith('.test.ts'))
    .sort()
}

function isGroup(word: string): word is Group {
  return Object.hasOwn(groups, word)
}
