import { fuzzSessions } from './session-fuzz.ts'

/** `node --import tsx test/fuzz/session.ts [minutes] [seed]`: until the time is over or something is wrong. */
const [minutes = 10, seed = Date.now() % 1_000_000_000] = process.argv.slice(2).map(Number)
const until = performance.now() + minutes * 60_000
const rss = (): string => `${Math.round(process.memoryUsage().rss / 1_048_576)} MB`

process.stdout.write(`seed ${seed}, ${minutes} minutes\n`)
const result = await fuzzSessions({
  seed,
  goesOn(sessions) {
    if (sessions > 0 && sessions % 10_000 === 0) process.stdout.write(`${sessions} sessions, ${rss()}\n`)
    return performance.now() < until
  },
})
process.stdout.write(`${JSON.stringify(result)} ${rss()}\n`)
