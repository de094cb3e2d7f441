import { constants } from 'node:fs'
import { access, readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import type { Clock } from '../../shared/clock.ts'
import type { Configuration, DkimKey } from '../../shared/config/model.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import { chosenKey, keyWith, keysFor, neededOf, recordOf, successorsOf } from '../../shared/dkim/configured-keys.ts'
import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import type { DnsRecord } from '../../shared/dkim/dns-record.ts'
import { livesOf } from '../../shared/dkim/key-lives.ts'
import type { KeyLife } from '../../shared/dkim/key-lives.ts'
import type { KeyType } from '../../shared/dkim/public-key.ts'
import { isSelector, makeKey, nextSelector, retireKey, rotateKey } from '../../shared/dkim/rotate-key.ts'
import { keyInUse, pendingKey } from '../../shared/dkim/successors.ts'
import type { NamedKey } from '../../shared/dkim/successors.ts'
import { certificateKeys } from '../../shared/domains/certificate-keys.ts'
import type { Examinations, KeptExamination } from '../../shared/domains/examinations.ts'
import { listDomains } from '../../shared/domains/list-domains.ts'
import type { DomainList, ListedDomain } from '../../shared/domains/list-domains.ts'
import { policyText, recordsToPublish } from '../../shared/domains/records.ts'
import type { RecordToPublish } from '../../shared/domains/records.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'

export interface DomainsView extends DomainList {
  readonly at: number
  readonly domains: readonly DomainRow[]
  /** So many there are, more than are told. */
  readonly count: number
}

export interface DomainRow extends ListedDomain {
  /** The last look that was taken at it. */
  readonly checked?: { readonly at: number; readonly wrong: number; readonly unknown: number }
  /** Somebody looks at it now. */
  readonly isRunning: boolean
}

export interface DomainView extends DomainRow {
  readonly at: number
  readonly last?: KeptExamination
  readonly records: readonly RecordToPublish[]
  /** Of MTA-STS. */
  readonly policy: string
  readonly keys: readonly KeyLife[]
  readonly keyTroubles: readonly string[]
  /** One for each line of pipeline.conf that names a key for this domain alone. */
  readonly rotations: readonly NextRotation[]
  /** Keys that lie in the data folder for the domain, and that pipeline.conf does not name. */
  readonly unnamed: readonly UnnamedKey[]
  /** New keys can be made here. */
  readonly canMake: boolean
}

/** What the next rotation of a key would do. */
export interface NextRotation {
  readonly selector: string
  readonly signs: string
  /** It was made and waits for its record; absent: the next rotation makes one. */
  readonly waits?: string
  /** Of the key that would be made. */
  readonly next: string
  /** This process may do it. */
  readonly isPossible: boolean
}

export interface UnnamedKey {
  readonly selector: string
  readonly record: DnsRecord
  /** For pipeline.conf. */
  readonly line: string
}

export interface KeyChoice {
  readonly selector?: string
  readonly type?: string
}

/** A key that was made, and what is to be done before it signs. */
export interface MadeKey {
  /** One sentence. */
  readonly done: string
  readonly selector: string
  /** To publish. */
  readonly record: DnsRecord
  /** For pipeline.conf; absent: it names the key that this one follows. */
  readonly line?: string
}

/** Domains of the configuration: what to publish for them, how the world sees them, and their keys. */
export interface DomainDesk {
  list(): Promise<DomainsView>
  /** `undefined`: the configuration does not name it. */
  find(name: string): Promise<DomainView | undefined>
  /** Looks at it anew; one sentence. @throws OperationError */
  check(name: string): Promise<string>
  /** @throws OperationError */
  rotate(name: string, given: KeyChoice & { readonly newSelector?: string }): Promise<MadeKey>
  /** @throws OperationError */
  generate(name: string, given: KeyChoice): Promise<MadeKey>
  /** @throws OperationError */
  retire(name: string, selector: string | undefined): Promise<string>
}

export interface DomainDeskParts {
  /** The one in force: read at each use. */
  readonly configuration: Configuration
  readonly tables: Pick<TableSet, 'entries'>
  readonly examinations: Pick<Examinations, 'last' | 'isRunning' | 'run'>
  readonly dataFolder: string
  readonly clock: Clock
}

/** More are not told: nobody reads them, and each has a file that is read. */
const mostDomains = 1_000

export function createDomainDesk(parts: DomainDeskParts): DomainDesk {
  const { examinations, dataFolder, clock } = parts
  const keyFolder = join(dataFolder, 'dkim')

  const lastOf = async ({ name, isPattern }: ListedDomain): Promise<KeptExamination | undefined> =>
    isPattern ? undefined : examinations.last(name)

  function rowOf(domain: ListedDomain, last: KeptExamination | undefined): DomainRow {
    const row = { ...domain, isRunning: examinations.isRunning(domain.name) }
    if (last === undefined) return row
    const count = (verdict: string): number => last.findings.filter((one) => one.verdict === verdict).length
    return { ...row, checked: { at: last.at, wrong: count('wrong'), unknown: count('unknown') } }
  }

  function named(name: string): ListedDomain {
    const found = listDomains(parts.configuration, parts.tables).domains.find((one) => one.name === name)
    if (found === undefined || found.isPattern)
      throw new OperationError(`the configuration does not name the domain ${name}`)
    return found
  }

  return {
    async list() {
      const list = listDomains(parts.configuration, parts.tables)
      const shown = list.domains.slice(0, mostDomains)
      const domains = await Promise.all(shown.map(async (one) => rowOf(one, await lastOf(one))))
      return { ...list, at: clock.now(), domains, count: list.domains.length }
    },

    async find(name) {
      const { configuration } = parts
      const found = listDomains(configuration, parts.tables).domains.find((one) => one.name === name)
      if (found === undefined || found.isPattern) return undefined
      const [last, { lives, troubles }, certificates, unnamed] = await Promise.all([
        lastOf(found),
        livesOf(configuration, name),
        certificateKeys(configuration),
        unnamedKeys(configuration, keyFolder, name),
      ])
      const records = recordsToPublish({
        domain: name,
        hostname: configuration.hostname,
        dkim: lives.filter(({ use }) => use !== 'old').map(({ record }) => record),
        certificateKeys: certificates,
        addresses: last?.addresses ?? [],
        smtpPort: configuration.pipeline.relayPort,
      })
      return {
        ...rowOf(found, last),
        ...(last === undefined ? {} : { last }),
        at: clock.now(),
        records,
        policy: policyText(configuration.hostname),
        keys: lives,
        keyTroubles: troubles,
        rotations: await rotationsOf(configuration, name, clock.now()),
        unnamed,
        canMake: await isWritable(keyFolder, dataFolder),
      }
    },

    async check(name) {
      named(name)
      const { findings } = await examinations.run(name)
      const wrong = findings.filter(({ verdict }) => verdict === 'wrong').length
      return wrong === 0 ? 'nothing is wrong with it' : `${wrong} of ${findings.length} findings are wrong`
    },

    async rotate(name, { selector, type, newSelector }) {
      const key = chosenKey(parts.configuration, named(name).name, selector)
      const [wanted, called] = [typeOf(type), newSelector === undefined ? undefined : checkedSelector(newSelector)]
      const { made, old, isNew } = await rotateKey(key, {
        ...(called === undefined ? {} : { selector: called }),
        ...(wanted === undefined ? {} : { type: wanted }),
        neededMs: neededOf(parts.configuration),
        nowAt: clock.now(),
      })
      const what = isNew ? `the key "${made.selector}" is made` : `the key "${made.selector}" was made before`
      const done = `${what}, and signs as soon as its record is in the DNS; "${old}" does until then`
      return { done, selector: made.selector, record: await recordOf(made, name) }
    },

    async generate(name, { selector: given = 'main', type }) {
      const domain = named(name).name
      const selector = checkedSelector(given)
      const file = join(keyFolder, `${domain}.${selector}.key`)
      const record = dkimRecord(await makeKey(file, typeOf(type) ?? 'rsa'), selector, domain)
      const done = `made ${file}; pipeline.conf is to name it before it signs`
      return { done, selector, record, line: lineFor({ domain, selector, keyFile: file }) }
    },

    async retire(name, selector) {
      if (selector === undefined) throw new OperationError('it needs `selector`')
      const { configuration } = parts
      const key = await keyWith(configuration, named(name).name, selector)
      await retireKey(key, selector, clock.now() - neededOf(configuration))
      return `the key "${selector}" is removed; its record may go, too`
    },
  }
}

/** In small letters. @throws OperationError */
function checkedSelector(text: string): string {
  if (!isSelector(text)) throw new OperationError(`'${text}' is not a selector: letters, digits, hyphens and dots`)
  return text.toLowerCase()
}

/** Of pipeline.conf. */
function lineFor({ domain, selector, keyFile }: NamedKey): string {
  return `dkim domain "${domain}" selector "${selector}" key "${keyFile}"`
}

function typeOf(text: string | undefined): KeyType | undefined {
  if (text === undefined || text === 'rsa' || text === 'ed25519') return text
  throw new OperationError(`'${text}' is not a kind of key: rsa or ed25519`)
}

async function rotationsOf(
  configuration: Configuration,
  domain: string,
  nowAt: number,
): Promise<readonly NextRotation[]> {
  const keys = keysFor(configuration, domain).filter((key) => key.domain === domain)
  const all = await Promise.all(keys.map((key) => rotationOf(key, nowAt).catch(() => undefined)))
  return all.filter((one) => one !== undefined)
}

/** @throws OperationError when it cannot be told */
async function rotationOf(key: DkimKey, nowAt: number): Promise<NextRotation> {
  const successors = await successorsOf(key)
  const waits = pendingKey(key, successors)
  return {
    selector: key.selector,
    signs: keyInUse(key, successors).selector,
    ...(waits === undefined ? {} : { waits: waits.selector }),
    next: nextSelector(key, successors, nowAt),
    isPossible: await isWritable(dirname(key.keyFile)),
  }
}

/** Whether files can be made in the folder, or the folder where it is to be. */
async function isWritable(folder: string, parent?: string): Promise<boolean> {
  const may = (path: string): Promise<boolean> =>
    access(path, constants.W_OK | constants.X_OK).then(
      () => true,
      (error: unknown) =>
        parent !== undefined && path !== parent && (error as NodeJS.ErrnoException).code === 'ENOENT' && may(parent),
    )
  return may(folder)
}

async function unnamedKeys(
  configuration: Configuration,
  folder: string,
  domain: string,
): Promise<readonly UnnamedKey[]> {
  const inUse = new Set(keysFor(configuration, undefined).map(({ keyFile }) => keyFile))
  const files = (await readdir(folder).catch(() => []))
    .filter((name) => name.startsWith(`${domain}.`) && name.endsWith('.key'))
    .map((name) => join(folder, name))
    .filter((file) => !inUse.has(file))
  const keys = await Promise.all(files.map((file) => unnamedKey(file, domain)))
  return keys.filter((one) => one !== undefined)
}

/** Undefined for a file that is no key. */
async function unnamedKey(file: string, domain: string): Promise<UnnamedKey | undefined> {
  const selector = basename(file).slice(domain.length + 1, -'.key'.length)
  if (!isSelector(selector)) return undefined
  try {
    const record = dkimRecord(await readFile(file, 'utf8'), selector, domain)
    return { selector, record, line: lineFor({ domain, selector, keyFile: file }) }
  } catch {
    return undefined
  }
}
