import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { parseAllDocuments } from 'yaml'

import { root } from '../support/fixtures.ts'
import { run } from '../support/process.ts'
import { type KubernetesObject, type Kustomization, readKustomization, readObjects } from './kubernetes-files.ts'

/** What kubectl makes of deploy/, and what we take it for, must be the same: `kubernetes.test.ts` goes by our own reading. */
for (const folder of ['deploy', 'deploy/kubernetes/scaling']) {
  test(`kubectl kustomize ${folder} makes the objects of its files, in their namespace, with their images and settings`, async (t) => {
    if (!(await hasKustomize(t))) return
    const { code, stdout, stderr } = await run('kubectl', ['kustomize', folder], { cwd: root })
    assert.equal(code, 0, stderr)
    // Nothing of it is deprecated.
    assert.equal(stderr, '')
    const rendered = parseAllDocuments(stdout).map((document) => document.toJS() as Rendered)
    const kustomization = readKustomization(`${folder}/kustomization.yaml`)
    const isGenerated = ({ kind }: KubernetesObject): boolean => kind === 'ConfigMap'
    const maps = rendered.filter(isGenerated)
    assert.deepEqual(sorted(rendered.filter((one) => !isGenerated(one))), sorted(expected(folder, kustomization, maps)))

    const generators = kustomization.configMapGenerator ?? []
    assert.equal(maps.length, generators.length)
    for (const { name, files = [], envs = [] } of generators) {
      const wanted = { ...filesIn(folder, files), ...settingsIn(folder, envs) }
      assert.deepEqual(mapNamed(maps, name).data, wanted, name)
    }
  })
}

interface Rendered extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>
}

/**
 * Kustomize of 4.x or newer, as kubectl has it since 1.24. Debian's (1.20) has one of 2019 that knows no `envs`: with it, or without kubectl,
 * there is nothing to compare with, which is said and is no failure.
 */
async function hasKustomize(t: TestContext): Promise<boolean> {
  const asked = await run('kubectl', ['version', '--client', '-o', 'json'], {}).catch(() => undefined)
  const version = /"kustomizeVersion": *"v(\d+)/.exec(asked?.stdout ?? '')?.[1]
  if (version !== undefined && Number(version) >= 4) return true
  t.diagnostic(`not compared: ${asked === undefined ? 'no kubectl' : 'this kubectl is older than 1.24'}`)
  return false
}

/** The files' objects, as they come out when Kustomize has put in namespace, images and the names of what it generates. */
function expected(
  folder: string,
  kustomization: Kustomization,
  maps: readonly Rendered[],
): readonly KubernetesObject[] {
  const { resources, namespace, images = [] } = kustomization
  const mapNames = new Map(maps.map(({ metadata: { name } }) => [name.replace(/-[a-z0-9]{10}$/, ''), name]))
  const imageNames = new Map(images.map(({ name, newName, newTag }) => [name, `${newName}:${newTag}`]))
  const withNames = (key: string, value: unknown): unknown => {
    if (key === 'image' && typeof value === 'string') return imageNames.get(value) ?? value
    if (!['configMap', 'configMapRef', 'configMapKeyRef'].includes(key)) return value
    const reference = value as { readonly name: string }
    return { ...reference, name: mapNames.get(reference.name) ?? reference.name }
  }
  return resources
    .flatMap((file) => readObjects(join(folder, file)))
    .map((object) => JSON.parse(JSON.stringify(object, withNames)) as KubernetesObject)
    .map((object) => (object.kind === 'Namespace' ? object : inNamespace(object, namespace)))
}

function inNamespace(object: KubernetesObject, namespace: string): KubernetesObject {
  return { ...object, metadata: Object.assign({}, object.metadata, { namespace }) }
}

function mapNamed(maps: readonly Rendered[], name: string): Rendered {
  const map = maps.find(({ metadata }) => metadata.name.replace(/-[a-z0-9]{10}$/, '') === name)
  assert.ok(map, name)
  return map
}

function filesIn(folder: string, files: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(files.map((file) => [basename(file), readFileSync(join(root, folder, file), 'utf8')]))
}

/** `NAME=value` of each line. */
function settingsIn(folder: string, files: readonly string[]): Readonly<Record<string, string>> {
  const lines = files.flatMap((file) => readFileSync(join(root, folder, file), 'utf8').split('\n'))
  return Object.fromEntries(
    lines
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

function sorted(objects: readonly KubernetesObject[]): readonly KubernetesObject[] {
  const nameOf = ({ kind, metadata }: KubernetesObject): string => `${kind} ${metadata.name}`
  return objects.toSorted((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1))
}
