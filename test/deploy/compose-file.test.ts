import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { root } from '../support/fixtures.ts'
import { againstSpecification, type ComposeService, readComposeFile, withDefaults } from './compose-file.ts'

const file = readComposeFile('docker-compose.yml')
/** Those of files that are put on top too, where they are their own. */
const services = [
  ...Object.entries(file.services),
  ...['deploy/demo/overlay.yml', 'deploy/acme.yml']
    .flatMap((path) => Object.entries(readComposeFile(path).services))
    .filter(([, { image }]) => image !== undefined),
]
const operations = readFileSync(join(root, 'docs/operations.md'), 'utf8')

/** What `--scale` is for: each of them shares a queue with its copies. */
const scalable = ['filter', 'signer', 'delivery', 'relay']
/** What makes something once, and ends. */
const once = services.filter(([, service]) => service.restart === 'no').map(([name]) => name)

/** Every service must satisfy it; those that do not are named. */
function each(rule: string, holds: (service: ComposeService, name: string) => boolean): void {
  test(rule, () => {
    const against = services.filter(([name, service]) => !holds(service, name)).map(([name]) => name)
    assert.deepEqual(against, [])
  })
}

test('the compose file is one by the Compose Specification', () => {
  // These came to the specification after this schema.
  const older = JSON.stringify({ ...file, name: undefined }, (key, value: unknown) =>
    key === 'start_interval' ? undefined : value,
  )
  assert.equal(againstSpecification(JSON.parse(older)), undefined)
})

each('no service has a name or an address that a second project could not have', ({ container_name, networks }) => {
  const settings = networks === undefined || Array.isArray(networks) ? [] : Object.values(networks)
  return container_name === undefined && settings.every((one) => !/ipv[46]_address|mac_address/.test(keysOf(one)))
})

test('no network has fixed addresses, and "core" reaches nothing outside', () => {
  assert.ok(Object.values(file.networks ?? {}).every((network) => !keysOf(network).includes('ipam')))
  assert.equal(file.networks?.['core']?.['internal'], true)
})

test('what can be scaled takes no port of the host', () => {
  for (const name of scalable) assert.equal(file.services[name]?.ports, undefined, name)
})

each('no service is given the engine, the host or all its rights', (service) => {
  const { privileged, network_mode, pid, ipc } = service
  const sources = (service.volumes ?? []).map((volume) => (typeof volume === 'string' ? volume : volume.source))
  return (
    [privileged, network_mode, pid, ipc].every((word) => word === undefined) &&
    sources.every((source) => !/docker\.sock|^\/(?:etc|proc|sys|dev|var)?(?::|$)/.test(source ?? ''))
  )
})

each('every service has a limit of memory and of processes', ({ mem_limit, pids_limit }) => {
  return mem_limit !== undefined && Number(pids_limit) > 0
})

each('every service has a root file system that nobody writes to', ({ read_only }) => read_only === true)

each('every service has no capability but those that are named', ({ cap_drop, cap_add }) => {
  return cap_drop?.includes('ALL') === true && cap_add?.some((one) => /ALL|SYS_ADMIN|NET_ADMIN/.test(one)) !== true
})

each('no process of a service gains rights', ({ security_opt }) => {
  return security_opt?.includes('no-new-privileges:true') === true
})

each('every service has an init, and logs that end', ({ init, logging }) => {
  return init === true && logging?.options?.['max-size'] !== undefined && logging.options['max-file'] !== undefined
})

each('every service says whether it is well', ({ healthcheck }, name) => {
  return once.includes(name) || (healthcheck?.test !== undefined && healthcheck.disable !== true)
})

each('who waits for a service hears within seconds that it is well', ({ healthcheck }, name) => {
  return once.includes(name) || /^[1-5]s$/.test(healthcheck?.start_interval ?? '')
})

each(
  'what is published to strangers is published by IPv4 alone, for the engine hides who comes by IPv6',
  ({ ports = [] }) => {
    return ports.every((port) => typeof port === 'string' && /^(?:0\.0\.0\.0|127\.0\.0\.1):/.test(withDefaults(port)))
  },
)

each('what a service waits for is well, or has ended well', ({ depends_on }) => {
  return Object.entries(depends_on ?? {}).every(
    ([name, { condition }]) =>
      condition === (once.includes(name) ? 'service_completed_successfully' : 'service_healthy'),
  )
})

each('an image of others is one version, and ours is built here', ({ image = '' }) => {
  const named = withDefaults(image)
  return builtHere().includes(named) || /@sha256:[0-9a-f]{64}$/.test(named) || /:v?\d+\.\d+\.\d+/.test(named)
})

test('an image of ours is built once, whichever services run it', () => {
  assert.deepEqual(builtHere(), [...new Set(builtHere())])
})

each('no service is told a secret by its environment', ({ environment }) => {
  return Object.keys(environment ?? {}).every((name) => !/PASSWORD|SECRET|TOKEN/.test(name) || name.endsWith('_FILE'))
})

test('Redis is on no network that reaches the outside', () => {
  assert.deepEqual(file.services['redis']?.networks, ['core'])
})

test('docs/operations.md has every volume, the spool first', () => {
  const table = operations.slice(
    operations.indexOf('## Volumes'),
    operations.indexOf('\n## ', operations.indexOf('## Volumes') + 1),
  )
  const described = [...table.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([\w-]+)`/g)].map(([, volume]) => volume),
  )
  assert.deepEqual(new Set(described), new Set(Object.keys(file.volumes ?? {})))
  assert.equal(described[0], 'data')
  assert.equal(Object.keys(file.volumes ?? {})[0], 'data')
})

function builtHere(): readonly string[] {
  return services
    .filter(([, service]) => service.build !== undefined)
    .map(([, service]) => withDefaults(service.image ?? ''))
}

function keysOf(settings: Readonly<Record<string, unknown>> | null | undefined): string {
  return Object.keys(settings ?? {}).join(' ')
}
