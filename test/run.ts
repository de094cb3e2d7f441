import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Writable } from 'node:stream'
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
    concurrency: 3,
    timeoutMs: 600_000,
  },
  compose: { folders: ['test/compose'], concurrency: 2, timeoutMs: 900_000 },
  longer: { folders: ['test/compose'], concurrency: 1, timeoutMs: 900_000 },
} as const

/** Files of the group `longer`: minutes more than `.ci/run` has; `npm run test:compose` runs them as well. */
const longer = ['profiles', 'swarm']

type Group = keyof typeof groups

/** One phase after the other, the groups of one at the same time: containers and peers wait more than they work. */
const phases: readonly (readonly Group[])[] = [['unit'], ['scenarios', 'compose'], ['longer']]

/** Files that take longest begin, so that none of them is alone at the end. */
const longest =
  'crash delivery-crash content before-accept reload browser lanes accessibility operator amavis upgrade swarm'.split(
    ' ',
  )

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
  const filesOf = (group: Group): readonly string[] =>
    findTests(groups[group].folders)
      .filter((file) => isLonger(file) === (group === 'longer'))
      .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  const reports: TestReport[] = []
  for (const phase of phases) {
    const wanted = phase.filter((group) => named.length === 0 || named.includes(group))
    const chosen = wanted.map((group) => ({ group, files: filesOf(group) })).filter(({ files }) => files.length > 0)
    reports.push(...(await runTogether(chosen)))
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

interface Chosen {
  readonly group: Group
  readonly files: readonly string[]
}

/** What the first group says is shown as it comes, what others say when that has ended. */
async function runTogether([first, ...others]: readonly Chosen[]): Promise<readonly TestReport[]> {
  if (first === undefined) return []
  const aside = others.map((one) => {
    const said: Buffer[] = []
    const output = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        said.push(chunk)
        done()
      },
    })
    return { said, report: runGroup(one, output) }
  })
  const reports = [await runGroup(first, process.stdout)]
  for (const { said, report } of aside) {
    reports.push(await report)
    process.stdout.write(Buffer.concat(said))
  }
  return reports
}

async function runGroup({ group, files }: Chosen, output: NodeJS.WritableStream): Promise<TestReport> {
  output.write(`\n${group}: ${files.length} test files\n`)
  const { concurrency, timeoutMs } = groups[group]
  const events = run({ files: files.map((file) => join(root, file)), concurrency, timeout: timeoutMs })
  const counted = countTests(events)
  await pipeline(events.compose(new spec()), output, { end: false })
  return counted()
}

function findTests(folders: readonly string[]): readonly string[] {
  return folders
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, String(file))))
    .filter((file) => file.endsWith('.test.ts'))
    .sort((a, b) => turnOf(a) - turnOf(b) || a.localeCompare(b))
}

function isLonger(file: string): boolean {
  return file.startsWith('test/compose/') && longer.includes(basename(file, '.test.ts'))
}

function turnOf(file: string): number {
  const turn = longest.indexOf(basename(file, '.test.ts'))
  return turn === -1 ? longest.length : turn
}

function isGroup(word: string): word is Group {
  return Object.hasOwn(groups, word)
}
