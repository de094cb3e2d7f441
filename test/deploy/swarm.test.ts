import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { root } from '../support/fixtures.ts'
import { againstSpecification, readComposeFile, withDefaults, type ComposeService } from './compose-file.ts'

interface StackService extends ComposeService {
  readonly hostname?: string
  readonly configs?: readonly { readonly source: string }[]
  readonly deploy?: {
    readonly mode?: string
    readonly replicas?: number
    readonly update_config?: { readonly order?: string }
    readonly resources?: { readonly limits?: { readonly memory?: string; readonly pids?: number } }
    readonly restart_policy?: unknown
  }
}

const path = 'deploy/swarm/stack.yaml'
const stack = readComposeFile(path) as ReturnType<typeof readComposeFile> & {
  readonly configs: Readonly<Record<string, { readonly file: string }>>
}
const services = Object.entries(stack.services as Readonly<Record<string, StackService>>)
const compose = readComposeFile('docker-compose.yml').services

test('the stack is one by the Compose Specification', () => {
  // A limit of processes came to the specification after this schema.
  const known: unknown = JSON.parse(
    JSON.stringify(stack, (key, value: unknown) => (key === 'pids' ? undefined : value)),
  )
  assert.equal(againstSpecification(known), undefined)
})

test('the stack has the services of the compose file, with their commands, images of others, checks and rights', () => {
  const withoutProfile = Object.entries(compose).filter(([, service]) => service.profiles === undefined)
  assert.deepEqual(services.map(([name]) => name).toSorted(), withoutProfile.map(([name]) => name).toSorted())
  for (const [name, service] of services) {
    const there = compose[name]
    assert.deepEqual(service.command, there?.command, name)
    assert.deepEqual(service.healthcheck?.test, there?.healthcheck?.test, name)
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

test('rules and limits see the address of the client: the ports for mail are those of the node', () => {
  const inbound = stack.services['inbound'] as StackService
  assert.equal(inbound.deploy?.mode, 'global')
  assert.deepEqual(
    (inbound.ports ?? []).map((port) => (typeof port === 'string' ? port : (port as { readonly mode?: string }).mode)),
    ['host', 'host', 'host'],
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
