import { fuzzSessions } from './session-fuzz.ts'

/** `node --import tsx test/fuzz/session.ts [minutes] [seed]`: until the time is over or something is wrong. */
const [minutes = 10, seed = Date.now() % 1_000_000_000] = process.argv.slice(2).map(Number)
const until = performance.now() + minutes * 60_000
const memory = (): string => {
  const { rss, heapUsed } = process.memoryUsage()
  return `${megabytes(rss)} MB, heap ${megabytes(heapUsed)} MB`
}

process.stdout.write(`seed ${seed}, ${minutes} minutes\n`)
const result = await fuzzSessions({
  seed,
  goesOn(sessions) {
    if (sessions > 0 && sessions % 10_000 === 0) process.stdout.write(`${sessions} sessions, ${memory()}\n`)
    return performance.now() < until
  },
})
process.stdout.write(`${JSON.stringify(result)} ${memory()}\n`)

function megabytes(bytes: number): number {
  return Math.round(bytes / 1_048_576)
}
