import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { Registry } from 'prom-client'

import { registerQueueGauges } from '../../services/dashboard/queue-gauges.ts'
import { registry as services } from '../../services/registry.ts'
import { root } from '../support/fixtures.ts'
import { readComposeFile, withDefaults } from './compose-file.ts'
import { filesOf, readKustomization, readObjects, type KubernetesObject, type PodSpec } from './kubernetes-files.ts'

const kustomization = readKustomization('deploy/kustomization.yaml')
const objects = kustomization.resources.flatMap((file) => readObjects(`deploy/${file}`))
const scaling = readKustomization('deploy/kubernetes/scaling/kustomization.yaml').resources.flatMap((file) =>
  readObjects(`deploy/kubernetes/scaling/${file}`),
)
const pods = objects.flatMap((object) => {
  const template = object.spec?.template
  return template === undefined ? [] : [{ object, labels: template.metadata.labels, spec: template.spec }]
})
const containers = pods.flatMap(({ object, spec }) =>
  [...spec.containers, ...(spec.initContainers ?? [])].map((container) => ({ object, spec, container })),
)

test('every object is as its schema wants it, and has no field that the schema does not know', async () => {
  const all = [...objects, ...scaling]
  for (const object of all) {
    const model = (await import(moduleOf(object))) as Record<
      string,
      new (data: unknown) => { validate(): void } | undefined
    >
    const Model = model[object.kind]
    assert.ok(Model, `${object.apiVersion} has no ${object.kind}`)
    new Model(object)?.validate()
  }
  // The schemas let pass what they do not know: the types do not.
  await rejectsUnknownFields(all)
})

test('Kustomize is told of every file', () => {
  assert.deepEqual(
    kustomization.resources.map((file) => file.replace('kubernetes/', '')).toSorted(),
    filesOf('deploy/kubernetes').filter((name) => name.endsWith('.yaml')),
  )
  const files = (kustomization.configMapGenerator ?? []).flatMap(({ files: some = [], envs = [] }) => [
    ...some,
    ...envs,
  ])
  for (const file of files) assert.ok(existsSync(join(root, 'deploy', file)), file)
  for (const folder of ['container', 'dovecot', 'redis']) {
    const named = files.filter((file) => file.startsWith(`${folder}/`)).map((file) => file.slice(folder.length + 1))
    assert.deepEqual(named.toSorted(), filesOf(`deploy/${folder}`), folder)
  }
})

test('each of our services runs, with the commands and images of the compose file', () => {
  const compose = readComposeFile('docker-compose.yml').services
  const withoutProfile = Object.entries(compose).filter(([, service]) => service.profiles === undefined)
  assert.deepEqual(
    pods.map(({ object }) => object.metadata.name).toSorted(),
    withoutProfile.map(([name]) => name).toSorted(),
  )
  const ours = new Set<string>()
  for (const { object, spec } of pods) {
    const { image = '', command } = compose[object.metadata.name] ?? {}
    const [container] = spec.containers
    // Ours are tagged by the kustomization.
    assert.equal(container?.image, withDefaults(image).replace(/:local$/, ''), object.metadata.name)
    const args = container?.args?.map((word) => word.replace(/^\$\((\w+)\)$/, '${$1}'))
    if (args !== undefined) assert.deepEqual(args, command, object.metadata.name)
    if (object.kind !== 'Job') for (const name of args ?? []) ours.add(name)
  }
  assert.deepEqual([...ours].toSorted(), [...services.keys()].filter((name) => ours.has(name)).toSorted())
  const unnamed = containers
    .filter(({ container }) => !container.image.includes(':'))
    .map(({ container }) => container.image)
  assert.deepEqual([...new Set(unnamed)].toSorted(), (kustomization.images ?? []).map(({ name }) => name).toSorted())
})

test('the dashboard is put beside the ledger: nodes cannot share their store', () => {
  const dashboard = pods.find(({ object }) => object.metadata.name === 'dashboard')
  const [term] = dashboard?.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  assert.equal(term?.topologyKey, 'kubernetes.io/hostname')
  const chosen = pods.filter(({ labels }) =>
    Object.entries(term?.labelSelector.matchLabels ?? {}).every(([name, value]) => labels?.[name] === value),
  )
  assert.deepEqual(
    chosen.map(({ object }) => object.metadata.name),
    ['ledger'],
  )
})

test('the ledger runs once, and is gone before another starts', () => {
  const ledger = pods.find(({ object }) => object.metadata.name === 'ledger')?.object
  assert.deepEqual([ledger?.spec?.replicas, ledger?.spec?.strategy?.type], [1, 'Recreate'])
})

test('what a pod mounts, and what names a pod or a port, is there', () => {
  const claims = objects.filter(({ kind }) => kind === 'PersistentVolumeClaim').map(({ metadata }) => metadata.name)
  const maps = (kustomization.configMapGenerator ?? []).map(({ name }) => name)
  for (const { object, spec } of pods) {
    for (const { persistentVolumeClaim: claim, configMap: map } of spec.volumes ?? []) {
      if (claim !== undefined)
        assert.ok(claims.includes(claim.claimName), `${object.metadata.name}: ${claim.claimName}`)
      if (map !== undefined) assert.ok(maps.includes(map.name), `${object.metadata.name}: ${map.name}`)
    }
  }
  for (const { spec, container } of containers) {
    const volumes = (spec.volumes ?? []).map(({ name }) => name)
    for (const { name } of container.volumeMounts ?? []) assert.ok(volumes.includes(name), `${container.name}: ${name}`)
    for (const { configMapRef } of container.envFrom ?? []) assert.ok(maps.includes(configMapRef.name))
  }
  for (const object of objects.filter(({ kind }) => kind === 'Service' || kind === 'NetworkPolicy')) {
    const wanted = object.kind === 'Service' ? object.spec?.selector : object.spec?.podSelector?.matchLabels
    const chosen = pods.filter(({ labels }) =>
      Object.entries(wanted ?? {}).every(([key, value]) => labels[key] === value),
    )
    assert.ok(chosen.length > 0, object.metadata.name)
    const open = chosen.flatMap(({ spec }) => portsOf(spec))
    const named =
      object.kind === 'Service'
        ? (object.spec?.ports ?? []).map(({ port, targetPort }) => targetPort ?? port)
        : (object.spec?.ingress ?? []).flatMap(({ ports = [] }) => ports.map(({ port }) => port))
    for (const port of named) assert.ok(open.includes(port), `${object.kind} ${object.metadata.name}: ${port}`)
  }
})

test('no pod may do more than it must', () => {
  for (const { object, spec } of pods) {
    assert.equal(spec.automountServiceAccountToken, false, object.metadata.name)
    assert.equal(spec.securityContext?.seccompProfile?.type, 'RuntimeDefault', object.metadata.name)
    for (const container of spec.containers) {
      assert.ok(container.resources?.limits?.memory, object.metadata.name)
      // A job ends by itself.
      if (object.kind !== 'Job') assert.ok(container.readinessProbe, object.metadata.name)
      if (container.image === 'sluice' && object.kind !== 'Job') {
        const { readinessProbe: ready, livenessProbe: alive } = container
        assert.match(JSON.stringify(ready), /healthy\.js","ready"|"path":"\/ready"/, object.metadata.name)
        assert.match(JSON.stringify(alive), /healthy\.js","alive"|"path":"\/alive"/, object.metadata.name)
      }
    }
  }
  for (const { object, spec, container } of containers) {
    const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities, privileged } =
      container.securityContext ?? {}
    assert.deepEqual(
      [allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities?.drop, privileged],
      [false, true, ['ALL'], undefined],
      object.metadata.name,
    )
    // It becomes each user whose mailbox it opens.
    if (container.name === 'dovecot') continue
    assert.equal(
      container.securityContext?.runAsNonRoot ?? spec.securityContext?.runAsNonRoot,
      true,
      object.metadata.name,
    )
    assert.equal(capabilities?.add, undefined, object.metadata.name)
  }
})

test('the filter is scaled by numbers that the dashboard tells', async () => {
  const registry = new Registry()
  registerQueueGauges(registry, { counts: async () => new Map() } as unknown as Parameters<
    typeof registerQueueGauges
  >[1])
  const [scaler] = scaling
  assert.ok(pods.some(({ object }) => object.metadata.name === scaler?.spec?.scaleTargetRef?.name))
  const triggers = scaler?.spec?.triggers ?? []
  assert.equal(triggers.length, 2)
  const port = portsOf(pods.find(({ object }) => object.metadata.name === 'dashboard')?.spec as PodSpec)
  for (const { metadata } of triggers) {
    const name = metadata['valueLocation']?.replace(/\{.*/, '') ?? ''
    assert.ok(registry.getSingleMetric(name), name)
    assert.ok(port.includes(Number(new URL(metadata['url'] ?? '').port)), metadata['url'])
  }
})

function portsOf(spec: PodSpec): readonly (string | number)[] {
  return spec.containers.flatMap(({ ports = [] }) => ports.flatMap(({ name, containerPort }) => [name, containerPort]))
}

function moduleOf({ apiVersion }: KubernetesObject): string {
  return apiVersion.startsWith('keda.sh') ? `@kubernetes-models/keda/${apiVersion}` : `kubernetes-models/${apiVersion}`
}

async function rejectsUnknownFields(all: readonly KubernetesObject[]): Promise<void> {
  const lines = all.map(
    (object, number) =>
      `import type { I${object.kind} as T${number} } from '${moduleOf(object)}'\nexport const o${number}: T${number} = ${JSON.stringify(object)}`,
  )
  // Beside node_modules, where the types are found.
  const folder = await mkdtemp(join(root, 'var-kubernetes-'))
  try {
    const file = join(folder, 'objects.ts')
    await writeFile(file, lines.join('\n'))
    const words = [
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      'node',
      file,
    ]
    const done = promisify(execFile)(join(root, 'node_modules', '.bin', 'tsc'), words)
    await done.catch((error: { readonly stdout: string }) => assert.fail(error.stdout))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
