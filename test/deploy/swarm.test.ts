import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { root } from '../support/fixtures.ts'
import {
  againstSpecification,
  readComposeFile,
  withDefaults,
  type ComposeFile,
  type ComposeService,
} from './compose-file.ts'

interface StackService extends ComposeService {
  readonly hostname?: string
  readonly configs?: readonly { readonly source: string }[]
  readonly secrets?: readonly string[]
  readonly deploy?: {
    readonly mode?: string
    readonly replicas?: number
    readonly endpoint_mode?: string
    readonly placement?: { readonly constraints?: readonly string[] }
    readonly update_config?: { readonly order?: string }
    readonly resources?: { readonly limits?: { readonly memory?: string; readonly pids?: number } }
    readonly restart_policy?: unknown
  }
}

interface StackFile extends ComposeFile {
  readonly configs: Readonly<Record<string, { readonly file: string }>>
  readonly secrets?: Readonly<Record<string, unknown>>
}

const path = 'deploy/swarm/stack.yaml'
const stack = readComposeFile(path) as StackFile
const services = Object.entries(stack.services as Readonly<Record<string, StackService>>)
const compose = readComposeFile('docker-compose.yml').services

test('the stack is one by the Compose Specification', () => {
  // A limit of processes and `start_interval` came to the specification after this schema; `docker stack` makes a number of a variable.
  const known: unknown = JSON.parse(
    JSON.stringify(stack, (key, value: unknown) => {
      if (key === 'pids' || key === 'start_interval') return undefined
      return key === 'published' ? Number(withDefaults(String(value))) : value
    }),
  )
  assert.equal(againstSpecification(known), undefined)
})

test('the stack has the services of the compose file, with their commands, images of others, checks and rights', () => {
  const withoutProfile = Object.entries(compose).filter(([, service]) => service.profiles === undefined)
  assert.deepEqual(services.map(([name]) => name).toSorted(), withoutProfile.map(([name]) => name).toSorted())
  for (const [name, service] of services) {
    const there = compose[name]
    assert.deepEqual(service.command, there?.command, name)
    assert.deepEqual(service.healthcheck, aliveOnly(there?.healthcheck), name)
    assert.deepEqual([service.cap_drop, service.cap_add], [there?.cap_drop, there?.cap_add], name)
    assert.deepEqual([service.read_only, service.init], [true, true], name)
    if (!service.image?.startsWith('${')) assert.equal(service.image, withDefaults(there?.image ?? ''), name)
  }
})

test('what Swarm would not do is not asked of it', () => {
  const unknown = ['restart', 'mem_limit', 'pids_limit', 'depends_on', 'container_name', 'tmpfs', 'profiles', 'build']
  for (const [name, service] of services)
    assert.deepEqual(
      Object.keys(service).filter((key) => unknown.includes(key)),
      [],
      name,
    )
})

test('every task has limits and is started again, and the ledger never runs twice', () => {
  for (const [name, { deploy }] of services) {
    assert.ok(deploy?.resources?.limits?.memory !== undefined && deploy.resources.limits.pids !== undefined, name)
    assert.ok(deploy.restart_policy, name)
  }
  const ledger = stack.services['ledger'] as StackService
  assert.deepEqual([ledger.deploy?.replicas, ledger.deploy?.update_config?.order], [1, 'stop-first'])
})

test('rules and limits see the address of the client: each port is one of its node, given to one task at a time', () => {
  const published = services.filter(([, { ports }]) => ports !== undefined)
  assert.deepEqual(
    published.map(([name]) => name),
    ['inbound', 'dashboard', 'dovecot'],
  )
  for (const [name, { ports = [], deploy }] of published) {
    const modes = ports.map((port) => (typeof port === 'string' ? port : (port as { readonly mode?: string }).mode))
    assert.deepEqual([...new Set(modes)], ['host'], name)
    assert.equal(deploy?.update_config?.order, 'stop-first', name)
  }
  assert.equal((stack.services['inbound'] as StackService).deploy?.mode, 'global')
})

test('no connection goes through the balancer of Swarm, which forgets one that is idle', () => {
  for (const [name, { deploy }] of services) assert.equal(deploy?.endpoint_mode, 'dnsrr', name)
})

test('the ledger and the dashboard are on one node: hosts cannot share their store', () => {
  for (const name of ['ledger', 'dashboard']) {
    const { deploy } = stack.services[name] as StackService
    assert.deepEqual(deploy?.placement, { constraints: ['node.labels.ledger == true'] })
  }
})

test('docker stack reads each variable: it cuts at a hyphen what ":?" says', () => {
  const texts = [path, 'deploy/swarm/passwords.yaml'].map((file) => readFileSync(join(root, file), 'utf8'))
  const said = [...texts.join('\n').matchAll(/\$\{\w+:\?([^}]*)\}/g)].map(([, text]) => text)
  assert.equal(said.length, 8)
  assert.deepEqual(
    said.filter((text) => text?.includes('-')),
    [],
  )
})

test('each config is a file that is there, each volume and network is named', () => {
  for (const { file } of Object.values(stack.configs)) assert.ok(existsSync(join(root, 'deploy/swarm', file)), file)
  for (const [name, { configs = [], volumes = [] }] of services) {
    for (const { source } of configs) assert.ok(stack.configs[source], `${name}: ${source}`)
    for (const volume of volumes) {
      if (typeof volume === 'string')
        assert.ok((volume.split(':')[0] as string) in (stack.volumes ?? {}), `${name}: ${volume}`)
    }
  }
})

/** Compose tells that something is wrong; Swarm kills for it, so that it asks our own services for less. */
function aliveOnly(check: ComposeService['healthcheck']): ComposeService['healthcheck'] {
  const test = check?.test
  if (!Array.isArray(test) || !String(test.at(-1)).endsWith('healthy.js')) return check
  return { ...check, test: [...test, 'alive'] }
}

test("passwords of one's choice are secrets that init reads, as it does in Compose", () => {
  const chosen = readComposeFile('deploy/swarm/passwords.yaml') as StackFile
  assert.equal(againstSpecification(chosen), undefined)
  const { environment, secrets } = chosen.services['init'] as StackService
  const there = compose['init'] as StackService
  assert.deepEqual(secrets, there.secrets)
  for (const [name, path] of Object.entries(environment ?? {})) assert.equal(path, there.environment?.[name], name)
  assert.deepEqual(Object.keys(chosen.secrets ?? {}), secrets)
})
