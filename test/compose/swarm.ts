import { execFileSync } from 'node:child_process'

import { docker } from './engine.ts'

/** What deploy/swarm/stack.yaml wants of its nodes. */
const labels = ['mail', 'ledger', 'redis', 'mailboxes']
const bridge = 'docker_gwbridge'

/** For the `skip` option of a test: false when an engine answers that is a swarm alone, or may begin one. */
export function missingSwarm(): string | false {
  try {
    const format = '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}} {{.Swarm.Nodes}}'
    const said = execFileSync('docker', ['info', '-f', format], { encoding: 'utf8', stdio: 'pipe' }).trim()
    return ['active true 1', 'inactive false 0'].includes(said) ? false : `the Docker engine is in a swarm: ${said}`
  } catch {
    return 'no Docker engine answers: eval "$(test/compose/engine.sh)"'
  }
}

/** The swarm that the engine manages: it begins one of its own when it is in none. In the end all is as it was. */
export class Swarm {
  readonly #added: readonly string[]
  readonly #isNew: boolean
  readonly #hadBridge: boolean

  private constructor(added: readonly string[], isNew: boolean, hadBridge: boolean) {
    this.#added = added
    this.#isNew = isNew
    this.#hadBridge = hadBridge
  }

  /** This node has all labels then. The address is that by which others find a new swarm. */
  static async enter(address = '127.0.0.1'): Promise<Swarm> {
    const hadBridge = (await docker('network', 'ls', '-q', '-f', `name=${bridge}`)).trim() !== ''
    const isNew = (await docker('info', '-f', '{{.Swarm.LocalNodeState}}')).trim() !== 'active'
    if (isNew) await docker('swarm', 'init', '--advertise-addr', address)
    const node = (await docker('info', '-f', '{{.Swarm.NodeID}}')).trim()
    const had = JSON.parse(await docker('node', 'inspect', '-f', '{{json .Spec.Labels}}', node)) as object
    const added = labels.filter((label) => !Object.hasOwn(had, label))
    await update(added.map((label) => ['--label-add', `${label}=true`]))
    return new Swarm(added, isNew, hadBridge)
  }

  async leave(): Promise<void> {
    if (!this.#isNew) return update(this.#added.map((label) => ['--label-rm', label]))
    await docker('swarm', 'leave', '--force')
    if (!this.#hadBridge) await docker('network', 'rm', bridge)
  }
}

async function update(changes: readonly (readonly string[])[]): Promise<void> {
  if (changes.length === 0) return
  const node = (await docker('info', '-f', '{{.Swarm.NodeID}}')).trim()
  await docker('node', 'update', ...changes.flat(), node)
}
