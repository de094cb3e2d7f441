import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'

import { root } from '../support/fixtures.ts'
import { run } from '../support/process.ts'

const minutes = 60_000

/** For the `skip` option of a test: false when an engine with Compose answers. */
export function missingEngine(): string | false {
  try {
    for (const words of [['version'], ['compose', 'version']]) execFileSync('docker', words, { stdio: 'ignore' })
    return false
  } catch {
    return 'no Docker engine with Compose answers: eval "$(test/compose/engine.sh)"'
  }
}

/** @throws AssertionError with all it said when it fails. */
export function docker(...words: readonly string[]): Promise<string> {
  return dockerWith({}, ...words)
}

/** With variables that its files name. */
export async function dockerWith(
  settings: Readonly<Record<string, string>>,
  ...words: readonly string[]
): Promise<string> {
  const finished = await run('docker', words, { env: { ...engine(), ...settings }, timeoutMs: 15 * minutes, cwd: root })
  assert.equal(finished.code, 0, `docker ${words.join(' ')}\n${finished.stdout}${finished.stderr}`)
  return finished.stdout
}

/** Where the engine is. */
function engine(): Record<string, string> {
  return Object.fromEntries(
    ['DOCKER_HOST', 'DOCKER_CONFIG'].flatMap((name) => {
      const value = process.env[name]
      return value === undefined || value === '' ? [] : [[name, value] as const]
    }),
  )
}

export interface ContainerState {
  readonly pid: number
  readonly restarts: number
  readonly health: string
}

export async function stateOf(id: string): Promise<ContainerState> {
  const format = '{{.State.Pid}} {{.RestartCount}} {{.State.Health.Status}}'
  const [pid, restarts, health = ''] = (await docker('inspect', '-f', format, id)).trim().split(' ')
  return { pid: Number(pid), restarts: Number(restarts), health }
}

/** Asks again and again until the answer is right. @throws AssertionError after four minutes. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isRight: (answer: T) => boolean,
  complaint: (last: T) => Promise<string>,
): Promise<T> {
  const endsAt = Date.now() + 4 * minutes
  for (;;) {
    const answer = await ask()
    if (isRight(answer)) return answer
    if (Date.now() > endsAt) assert.fail(await complaint(answer))
    await pause(500)
  }
}
