import { mkdir, readFile, readdir, rename, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

import type { MetricObjectWithValues, MetricValueWithName, Registry } from 'prom-client'

/** The metrics of one process at one moment. */
export interface ProcessMetrics {
  /** `filter.<host>.<pid>`, `ledger+reports.<host>.<pid>`: the label `process` of each of its series, so that a new process begins a new one. */
  readonly process: string
  readonly metrics: readonly MetricObjectWithValues<MetricValueWithName<string>>[]
}

const everyMs = 5_000
/** Prometheus takes what is missing for ended; what a dead process counted last is no news. */
const deadAfterMs = 20_000

/** @param name what the process does, `filter` */
export function processName(name: string): string {
  return `${name}.${hostname()}.${process.pid}`
}

/**
 * Writes what this process counts to a small file below the data folder every 5 s, for the dashboard to show: one place to scrape, however
 * many processes do the work. Removed by `stop`; that of a killed process grows old.
 */
export async function startMetricsFile(
  dataFolder: string,
  name: string,
  registry: Registry,
): Promise<{ stop(): Promise<void> }> {
  const folder = folderOf(dataFolder)
  await mkdir(folder, { recursive: true })
  const path = join(folder, `${processName(name)}.json`)
  const write = async (): Promise<void> => {
    const metrics = (await registry.getMetricsAsJSON()) as ProcessMetrics['metrics']
    await writeFile(`${path}.new`, JSON.stringify({ at: Date.now(), process: processName(name), metrics }))
    await rename(`${path}.new`, path)
  }
  // A full disk must not end the process.
  let writing = write().catch(() => undefined)
  const timer = setInterval(() => {
    writing = writing.then(write).catch(() => undefined)
  }, everyMs)
  timer.unref()
  return {
    async stop() {
      clearInterval(timer)
      await writing
      await unlink(path).catch(() => undefined)
    },
  }
}

/** Of the other processes that live. */
export async function readMetricsFiles(dataFolder: string, nowAt: number): Promise<readonly ProcessMetrics[]> {
  const folder = folderOf(dataFolder)
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json'))
  const files = await Promise.all(
    names.map(async (name) => ({ name, kept: parse(await readFile(join(folder, name), 'utf8').catch(() => '')) })),
  )
  const found: ProcessMetrics[] = []
  for (const { name, kept } of files) {
    if (kept === undefined) continue
    if (nowAt - kept.at <= deadAfterMs) found.push(kept)
    else if (nowAt - kept.at > 3_600_000) await unlink(join(folder, name)).catch(() => undefined)
  }
  return found
}

/** The text format of Prometheus: each metric once, with the series of all processes. */
export function expose(all: readonly ProcessMetrics[]): string {
  const lines = new Map<string, string[]>()
  for (const { process: name, metrics } of all) {
    for (const metric of metrics) {
      let block = lines.get(metric.name)
      if (block === undefined) {
        block = [`# HELP ${metric.name} ${metric.help.replaceAll('\n', ' ')}`, `# TYPE ${metric.name} ${metric.type}`]
        lines.set(metric.name, block)
      }
      for (const { metricName, labels, value } of metric.values) {
        const named = Object.entries({ ...labels, process: name }).map(([label, text]) => `${label}="${escaped(text)}"`)
        block.push(`${metricName ?? metric.name}{${named.join(',')}} ${numberOf(value)}`)
      }
    }
  }
  return `${[...lines.values()].flat().join('\n')}\n`
}

function folderOf(dataFolder: string): string {
  return join(dataFolder, 'run', 'metrics')
}

function escaped(text: string | number | undefined): string {
  return String(text).replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}

/** JSON has no infinity and no NaN: they come back as null. */
function numberOf(value: number | null): string {
  return value === null ? 'NaN' : String(value)
}

function parse(text: string): (ProcessMetrics & { readonly at: number }) | undefined {
  try {
    return JSON.parse(text) as ProcessMetrics & { readonly at: number }
  } catch {
    return undefined
  }
}
