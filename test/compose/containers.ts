import assert from 'node:assert/strict'

import { dockerWith, eventually, stateOf } from './engine.ts'
import { Place } from './place.ts'

/**
 * A project of Compose with a name of its own on a real engine, found by DOCKER_HOST as the docker command finds it: what operators
 * do with its containers, and what happens to these.
 */
export abstract class Containers extends Place {
  /** The words after "docker compose" that name its files. */
  protected abstract files(): readonly string[]

  /** What an operator says in `.env`. */
  protected abstract settings(): Readonly<Record<string, string>>

  compose(...words: readonly string[]): Promise<string> {
    return this.composeWith({}, ...words)
  }

  /** With further settings, for this command alone. */
  protected composeWith(more: Readonly<Record<string, string>>, ...words: readonly string[]): Promise<string> {
    return dockerWith({ ...this.settings(), ...more }, 'compose', ...this.files(), '-p', this.name, ...words)
  }

  /** `up -d --wait`: of all services when none is named. */
  async up(...words: readonly string[]): Promise<void> {
    await this.compose('up', '-d', '--wait', ...words)
    this.forgetPorts()
  }

  /** With all it has: volumes, networks, containers. */
  async remove(): Promise<void> {
    await this.compose('--profile', '*', 'down', '-v', '--timeout', '20', '--remove-orphans')
  }

  override async containers(service: string): Promise<readonly string[]> {
    return (await this.compose('ps', '-q', service)).trim().split('\n')
  }

  /** Ends the first container of a service as a crash does, by SIGKILL; resolves when the engine has started it again by itself. */
  async crash(service: string): Promise<void> {
    const [id = ''] = await this.containers(service)
    const before = await stateOf(id)
    assert.ok(before.pid > 0, `${service} does not run`)
    process.kill(before.pid, 'SIGKILL')
    await eventually(
      () => stateOf(id),
      (state) => state.pid > 0 && state.restarts > before.restarts,
      (state) => Promise.resolve(`${service} was not started again: ${JSON.stringify(state)}`),
    )
    this.forgetPorts()
  }
}
