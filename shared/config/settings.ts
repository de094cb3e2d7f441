import type { LoadedConfiguration } from './load.ts'
import { loadConfiguration } from './load.ts'
import { placeOf } from './set-by.ts'
import { toJson } from './to-json.ts'
import type { Json } from './to-json.ts'

/** One value of the configuration. */
export interface Setting {
  /** In the model: `pipeline.spam.junk`. */
  readonly path: string
  readonly value: Json
  /** `/etc/mail/pipeline.conf:12`; absent: nothing says so, it is the default. */
  readonly place?: string
}

type Loaded = Pick<LoadedConfiguration, 'configuration' | 'setBy'>

/** All of them, in the order of the model; secrets are hidden. */
export function settingsOf({ configuration, setBy = new Map() }: Loaded): readonly Setting[] {
  const { revision: _, ...rest } = configuration
  return leaves(toJson({ ...rest, revision: '' }), '', undefined)
    .filter(({ path }) => path !== 'revision')
    .map(({ path, value, place }) => {
      const span = placeOf(setBy, path)
      const at = place ?? (span === undefined ? undefined : `${span.file}:${span.line}`)
      return at === undefined ? { path, value } : { path, value, place: at }
    })
}

/** What holds where nothing is written. */
export async function defaultSettings(hostname: string): Promise<readonly Setting[]> {
  const paths = { smtpdConf: '/smtpd.conf', pipelineConf: '/pipeline.conf' }
  const texts = new Map([
    [paths.smtpdConf, 'match for any reject\n'],
    [paths.pipelineConf, ''],
  ])
  const loaded = await loadConfiguration({ ...paths, texts, hostname })
  return settingsOf(loaded).filter(({ path }) => !isOfHost(path) && !path.startsWith('rules.'))
}

/** Whether the value is another one on each host where nothing is written. */
export function isOfHost(path: string): boolean {
  return /^(?:socket|hostname|authservId)\b/.test(path)
}

interface Leaf {
  readonly path: string
  readonly value: Json
  readonly place: string | undefined
}

/** Single values and empty lists; the position of an object is the place of what is in it, and no value itself. */
function leaves(value: Json, path: string, place: string | undefined): readonly Leaf[] {
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) return [{ path, value, place }]
  const entries = Object.entries(value) as readonly (readonly [string, Json])[]
  const here = positionIn(entries) ?? place
  return entries
    .filter(([key]) => key !== 'at')
    .flatMap(([key, held]) => leaves(held, path === '' ? key : `${path}.${key}`, here))
}

function positionIn(entries: readonly (readonly [string, Json])[]): string | undefined {
  const at = entries.find(([key]) => key === 'at')?.[1]
  if (typeof at !== 'object' || at === null || !('file' in at) || !('line' in at)) return undefined
  const { file, line } = at
  return typeof file === 'string' && typeof line === 'number' ? `${file}:${line}` : undefined
}
