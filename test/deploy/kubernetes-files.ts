import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { parse, parseAllDocuments } from 'yaml'

import { root } from '../support/fixtures.ts'

/** An object of Kubernetes, as far as our rules look at it. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec?: {
    readonly replicas?: number
    readonly strategy?: { readonly type?: string }
    readonly template?: { readonly metadata: Labels; readonly spec: PodSpec }
    readonly selector?: Readonly<Record<string, string>> & { readonly matchLabels?: Readonly<Record<string, string>> }
    readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> }
    readonly ports?: readonly { readonly port: number; readonly targetPort?: string }[]
    readonly ingress?: readonly { readonly ports?: readonly { readonly port: string | number }[] }[]
    readonly scaleTargetRef?: { readonly name: string }
    readonly triggers?: readonly { readonly type: string; readonly metadata: Readonly<Record<string, string>> }[]
  }
}

interface Labels {
  readonly labels: Readonly<Record<string, string>>
}

export interface PodSpec {
  readonly affinity?: {
    readonly podAffinity?: {
      readonly requiredDuringSchedulingIgnoredDuringExecution?: readonly {
        readonly topologyKey: string
        readonly labelSelector: { readonly matchLabels?: Readonly<Record<string, string>> }
      }[]
    }
  }
  readonly automountServiceAccountToken?: boolean
  readonly securityContext?: SecurityContext
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes?: readonly {
    readonly name: string
    readonly configMap?: { readonly name: string }
    readonly persistentVolumeClaim?: { readonly claimName: string }
  }[]
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly args?: readonly string[]
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly securityContext?: SecurityContext
  readonly resources?: { readonly limits?: { readonly memory?: string } }
  readonly readinessProbe?: unknown
  readonly livenessProbe?: unknown
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
}

interface SecurityContext {
  readonly runAsNonRoot?: boolean
  readonly allowPrivilegeEscalation?: boolean
  readonly readOnlyRootFilesystem?: boolean
  readonly privileged?: boolean
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] }
  readonly seccompProfile?: { readonly type: string }
}

export interface Kustomization {
  readonly namespace: string
  readonly resources: readonly string[]
  readonly configMapGenerator?: readonly {
    readonly name: string
    readonly files?: readonly string[]
    readonly envs?: readonly string[]
  }[]
  readonly images?: readonly { readonly name: string; readonly newName: string; readonly newTag: string }[]
}

/** The objects of a file by its path from the root, read as kubectl does: by YAML 1.1, where 0555 is octal. */
export function readObjects(path: string): readonly KubernetesObject[] {
  return parseAllDocuments(readFileSync(join(root, path), 'utf8'), { version: '1.1' }).map((document) => {
    if (document.errors.length > 0) throw new Error(`${path}: ${document.errors[0]?.message}`)
    return document.toJS() as KubernetesObject
  })
}

export function readKustomization(path: string): Kustomization {
  return parse(readFileSync(join(root, path), 'utf8')) as Kustomization
}

/** Names of the files in a folder by its path from the root. */
export function filesOf(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .toSorted()
}
