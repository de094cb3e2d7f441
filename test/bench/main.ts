import { mkdir } from 'node:fs/promises'
import { cpus, release } from 'node:os'
import { join } from 'node:path'

import { startDns } from '../support/dns.ts'
import { missingPeers } from '../support/peer.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { type Measurement, measure } from './measure.ts'
import { type Options, readOptions, usage, UsageError } from './options.ts'
import { markdownTable } from './table.ts'

try {
  await main()
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\n${usage}` : error)
  process.exitCode = 1
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  const missing = missingPeers('smtp-sink', 'smtp-source', 'postfix')
  if (missing !== false) throw new UsageError(missing)
  const folder = await tempFolder('bench')
  const dns = await startDns({ 'remote.test': { TXT: ['v=spf1 ip4:127.0.0.1 -all'] } })
  const profileFolder = options.profileFolder
  if (profileFolder !== undefined) await mkdir(profileFolder, { recursive: true })
  const measurements: Measurement[] = []
  try {
    for (const series of options.series) {
      for (const system of options.systems) {
        const logFile = join(folder.path, `${series.name}-${system}.log`)
        const one = await measure(series, system, { ...options, dns, logFile })
        measurements.push(one)
        console.error(
          `${series.name} ${system}: ${Math.round(one.arrivedPerSecond)}/s, ${one.cpuSecondsPer1000.toFixed(2)} s per 1,000`,
        )
      }
    }
  } finally {
    await dns.stop()
    await folder.remove()
  }
  console.log(options.json ? JSON.stringify(measurements, undefined, 2) : report(measurements, options))
}

function report(measurements: readonly Measurement[], options: Options): string {
  const { model = 'unknown' } = cpus()[0] ?? {}
  const machine = `${cpus().length} x ${model}, Linux ${release()}, Node ${process.version}`
  return `${machine}; ${options.sessions} sessions, median of ${options.runs} runs\n\n${markdownTable(measurements)}`
}
