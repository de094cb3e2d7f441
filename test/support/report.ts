import { relative } from 'node:path'
import type { run } from 'node:test'

import { root } from './fixtures.ts'

export interface SkippedTest {
  readonly name: string
  readonly file: string
  readonly reason: string
}

export interface TestReport {
  /** Tests and subtests, suites not counted. */
  readonly passed: number
  readonly failed: number
  readonly skipped: readonly SkippedTest[]
}

type TestEvents = ReturnType<typeof run>

/** Counts what runs and keeps what was skipped and why; the result is complete once the stream has ended. */
export function countTests(events: TestEvents): () => TestReport {
  const skipped: SkippedTest[] = []
  let passed = 0
  let failed = 0
  const wasSkipped = (name: string, file: string | undefined, reason: string | boolean) =>
    skipped.push({
      name,
      file: relative(root, file ?? root),
      reason: reason === true ? 'no reason given' : `${reason}`,
    })
  events.on('test:pass', ({ name, file, skip, todo, details }) => {
    // A suite that is skipped tells nothing of its tests.
    if (skip !== undefined && skip !== false) {
      wasSkipped(name, file, skip)
      return
    }
    // A file without tests reports itself, under its own path, as one that passed.
    if (details.type === 'suite' || name.endsWith('.test.ts')) return
    if (todo !== undefined && todo !== false) wasSkipped(name, file, `TODO ${todo}`)
    else passed++
  })
  events.on('test:fail', ({ name, file, todo, details }) => {
    if (details.type === 'suite') return
    if (todo !== undefined && todo !== false) wasSkipped(name, file, `TODO ${todo}`)
    else failed++
  })
  return () => ({ passed, failed, skipped })
}
