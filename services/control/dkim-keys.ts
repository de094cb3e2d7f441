import { chmod, chown, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { Configuration, DkimKey } from '../../shared/config/model.ts'
import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import type { DnsRecord } from '../../shared/dkim/dns-record.ts'
import { generateKey } from '../../shared/dkim/generate-key.ts'
import { readPrivateKey } from '../../shared/dkim/private-key.ts'
import type { KeyType } from '../../shared/dkim/public-key.ts'
import { publicationOf } from '../../shared/dkim/publication.ts'
import type { Publication } from '../../shared/dkim/publication.ts'
import {
  keyInUse,
  listPath,
  neededMs,
  pendingKey,
  successorFile,
  writeSuccessors,
} from '../../shared/dkim/successors.ts'
import type { NamedKey, Successor } from '../../shared/dkim/successors.ts'
import { isDomain } from '../../shared/mail/address.ts'
import { asciiDomain } from '../../shared/mail/ascii-domain.ts'
import { createResolver } from '../../shared/resolver.ts'
import type { Resolver } from '../../shared/resolver.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { dataFolderOf, loadPlace } from './connect.ts'
import { changeSuccessors, keysFor, recordOf, successorsOf } from './dkim-record.ts'
import { textTable } from './text-table.ts'

const typeOption = { name: 'type', value: 'rsa|ed25519', summary: 'what kind of key (rsa)' }

export const dkimGenerate: Command = {
  words: ['dkim', 'generate'],
  operands: [
    { name: 'DOMAIN', required: true },
    { name: 'SELECTOR', required: true },
  ],
  options: [
    typeOption,
    {
      name: 'key',
      value: 'FILE',
      summary: 'where the key goes (DATA/dkim/DOMAIN.SELECTOR.key); one that is there stays',
    },
  ],
  summary: 'make a DKIM key; prints its DNS record and the line for pipeline.conf',
  run: generate,
}

export const dkimStatus: Command = {
  words: ['dkim', 'status'],
  operands: [{ name: 'DOMAIN', required: false }],
  summary: 'DKIM keys: which one signs, and whether the DNS has them; exit code 1 when one that signs is not published',
  run: status,
}

export const dkimRotate: Command = {
  words: ['dkim', 'rotate'],
  operands: [
    { name: 'DOMAIN', required: true },
    { name: 'SELECTOR', required: false },
  ],
  options: [
    { name: 'new', value: 'SELECTOR', summary: 'of the new key (the old one and the date)' },
    { name: 'type', value: 'rsa|ed25519', summary: 'what kind of key (that of the old one)' },
  ],
  summary:
    'make a new DKIM key for a domain (SELECTOR: for which of several); it signs as soon as its record is in the DNS',
  run: rotate,
}

async function generate(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const domain = domainOperand(invocation)
  const selector = checkedSelector(invocation.operands[1] ?? '')
  const type = typeOf(options.text('type')) ?? 'rsa'
  const file = options.text('key') ?? join(dataFolderOf(invocation), 'dkim', `${domain}.${selector}.key`)
  const record = dkimRecord(await newKey(file, type), selector, domain)
  if (options.has('json')) terminal.print(JSON.stringify({ ...record, keyFile: file }, undefined, 2))
  else {
    terminal.print(record.zoneLine)
    terminal.print(`dkim domain "${domain}" selector "${selector}" key "${file}"`)
  }
  return exitCodes.done
}

/** A key of a line of pipeline.conf, or one that came after it. */
interface KeyState {
  readonly domain: string
  readonly selector: string
  readonly keyFile: string
  /** `new`: waits for its record; `old`: was replaced. */
  readonly use: 'signs' | 'new' | 'old'
  readonly publication: Publication
  readonly record: DnsRecord
  /** Of an old one: its record is needed until then. */
  readonly neededUntil?: number
}

async function status(invocation: Invocation): Promise<number> {
  const { terminal, options, operands } = invocation
  const { configuration } = await loadPlace(invocation)
  const domain = operands.length === 0 ? undefined : domainOperand(invocation)
  const keys = keysFor(configuration, domain)
  if (keys.length === 0) throw noKey(domain)
  const resolver = createResolver({ servers: configuration.pipeline.resolvers })
  const states: KeyState[] = []
  try {
    for (const key of keys)
      states.push(...(await statesOf(key, domain ?? configuration.hostname, { resolver, ms: needed(configuration) })))
  } finally {
    resolver.close()
  }
  if (options.has('json')) terminal.print(JSON.stringify({ keys: states }, undefined, 2))
  else for (const line of lines(states)) terminal.print(line)
  return states.some(({ use, publication }) => use === 'signs' && isWrong(publication))
    ? exitCodes.failed
    : exitCodes.done
}

/** Milliseconds after which nothing is asked of a key that was replaced. */
function needed({ queueTtlMs, actions }: Configuration): number {
  return neededMs(Math.max(queueTtlMs, ...[...actions.values()].map(({ ttlMs }) => ttlMs ?? 0)))
}

interface Judging {
  readonly resolver: Resolver
  /** For how long a key that was replaced is needed. */
  readonly ms: number
}

async function statesOf(key: DkimKey, fallback: string, { resolver, ms }: Judging): Promise<readonly KeyState[]> {
  const successors = await successorsOf(key)
  const used = keyInUse(key, successors)
  const all: readonly NamedKey[] = [key, ...successors.map((one) => ({ ...one, domain: key.domain }))]
  return Promise.all(
    all.map(async (one, index): Promise<KeyState> => {
      const record = await recordOf(one, fallback)
      const next = successors[index]?.visibleAt
      const use = one.selector === used.selector ? 'signs' : next === undefined ? 'new' : 'old'
      return {
        domain: record.name.slice(record.name.indexOf('._domainkey.') + '._domainkey.'.length),
        selector: one.selector,
        keyFile: one.keyFile,
        use,
        publication: await publicationOf(record, resolver),
        record,
        ...(use === 'old' && next !== undefined ? { neededUntil: next + ms } : {}),
      }
    }),
  )
}

function lines(states: readonly KeyState[]): readonly string[] {
  const rows = states.map((one) => [one.domain, one.selector, one.use, describe(one)])
  const table = textTable([{ title: 'domain' }, { title: 'selector' }, { title: 'use' }, { title: 'in the DNS' }], rows)
  const publish = states.filter(({ use, publication }) => use !== 'old' && isWrong(publication))
  return [...table, ...publish.map(({ record }) => `publish: ${record.zoneLine}`)]
}

function describe({ publication, neededUntil }: KeyState): string {
  const until = neededUntil === undefined ? '' : describeNeed(neededUntil)
  switch (publication.kind) {
    case 'published':
      return `yes${until}`
    case 'missing':
      return `no${until}`
    case 'another':
      return 'another key than ours'
    case 'unusable':
      return publication.reason
    case 'unknown':
      return `not known now: ${publication.reason}`
  }
}

function describeNeed(until: number): string {
  if (until < Date.now()) return ', not needed any more'
  return `, needed until ${new Date(until).toISOString().slice(0, 10)} for what it signed`
}

function isWrong({ kind }: Publication): boolean {
  return kind !== 'published' && kind !== 'unknown'
}

async function rotate(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const domain = domainOperand(invocation)
  const { configuration } = await loadPlace(invocation)
  const key = chosen(keysFor(configuration, domain), domain, invocation.operands[1])
  const { made, old, isNew } = await changeSuccessors(key, async (successors) => {
    const waiting = pendingKey(key, successors)
    const next = waiting ?? (await succeed(key, successors, { ...invocation, configuration }))
    return { made: next, old: keyInUse(key, successors).selector, isNew: waiting === undefined }
  })
  const record = await recordOf(made, domain)
  if (options.has('json')) {
    terminal.print(JSON.stringify({ ...record, selector: made.selector, keyFile: made.keyFile }, undefined, 2))
    return exitCodes.done
  }
  terminal.print(record.zoneLine)
  const what = isNew ? 'publish this record' : 'the key that was made before still waits for this record'
  terminal.warn(`${what}: "${made.selector}" signs as soon as it is there, and "${old}" does until then`)
  return exitCodes.done
}

/** The key is on disk before anything names it. */
async function succeed(
  key: DkimKey,
  successors: readonly Successor[],
  { options, configuration }: Invocation & { readonly configuration: Configuration },
): Promise<NamedKey> {
  const used = keyInUse(key, successors)
  const nowAt = Date.now()
  const taken = new Set([key.selector, ...successors.map((one) => one.selector)])
  const given = options.text('new')
  const selector = given === undefined ? freeSelector(key.selector, taken, nowAt) : checkedSelector(given)
  if (taken.has(selector)) throw new UsageError(`there is a key with the selector "${selector}" already`)
  const record = await recordOf(used, key.domain)
  const type = typeOf(options.text('type')) ?? (/; k=ed25519;/.test(record.value) ? 'ed25519' : 'rsa')
  const keyFile = successorFile(key, selector)
  await newKey(keyFile, type).catch(async (error: unknown) => {
    // A rotation that broke off today left it, and nothing names it yet.
    if (given !== undefined || !(await isKey(keyFile, type))) throw error
  })
  await likeOther(keyFile, key.keyFile)
  const kept = neededSuccessors(successors, nowAt - needed(configuration))
  await writeSuccessors(key, [...kept, { selector, keyFile, madeAt: nowAt }])
  await likeOther(listPath(key), key.keyFile)
  for (const old of successors) if (!kept.includes(old)) await rm(old.keyFile, { force: true })
  return { domain: key.domain, selector, keyFile }
}

async function isKey(file: string, type: KeyType): Promise<boolean> {
  try {
    return readPrivateKey(await readFile(file, 'utf8')).type === type
  } catch {
    return false
  }
}

/** Without those that were replaced long ago. */
function neededSuccessors(successors: readonly Successor[], sinceAt: number): readonly Successor[] {
  return successors.filter((_, index) => {
    const replacedAt = successors[index + 1]?.visibleAt
    return replacedAt === undefined || replacedAt > sinceAt
  })
}

function freeSelector(base: string, taken: ReadonlySet<string>, nowAt: number): string {
  const dated = `${base}-${new Date(nowAt).toISOString().slice(0, 10).replaceAll('-', '')}`
  for (let count = 1; ; count += 1) {
    const selector = count === 1 ? dated : `${dated}-${count}`
    if (!taken.has(selector)) return selector
  }
}

/** The signer reads it as it reads the old one: same owner, same mode. */
async function likeOther(file: string, other: string): Promise<void> {
  const { uid, gid, mode } = await stat(other)
  await chmod(file, mode & 0o777)
  if (process.getuid?.() === 0) await chown(file, uid, gid)
}

function chosen(keys: readonly DkimKey[], domain: string, selector: string | undefined): DkimKey {
  const own = keys.filter((key) => key.domain === domain)
  if (own.length === 0 && keys.length > 0)
    throw new ControlError(
      `the key of "dkim default same-domain" signs for every domain: it cannot be replaced in one of them; give ${domain} a line of its own`,
    )
  const matching = own.filter((key) => selector === undefined || key.selector === selector)
  const [key] = matching
  if (key === undefined) throw noKey(domain, selector)
  if (new Set(matching.map(({ keyFile }) => keyFile)).size > 1)
    throw new UsageError(`${domain} has several keys: name a selector: ${own.map((one) => one.selector).join(' ')}`)
  return key
}

async function newKey(file: string, type: KeyType): Promise<string> {
  try {
    return await generateKey(file, type)
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST'
    const why = isThere ? `${file} is there already: a key is never replaced` : (error as Error).message
    throw new ControlError(why, exitCodes.failed, { cause: error })
  }
}

function noKey(domain: string | undefined, selector?: string): ControlError {
  const forDomain = domain === undefined ? '' : ` for ${domain}`
  return new ControlError(
    `pipeline.conf names no DKIM key${forDomain}${selector === undefined ? '' : ` with the selector "${selector}"`}`,
  )
}

function domainOperand({ operands }: Invocation): string {
  const domain = asciiDomain(operands[0] ?? '')?.toLowerCase()
  if (domain === undefined || !isDomain(domain)) throw new UsageError(`'${operands[0] ?? ''}' is not a domain`)
  return domain
}

/** RFC 6376 §3.1: labels of a domain name. */
function checkedSelector(text: string): string {
  if (!/^(?!.{64})[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i.test(text))
    throw new UsageError(`'${text}' is not a selector: letters, digits, hyphens and dots`)
  return text.toLowerCase()
}

function typeOf(text: string | undefined): KeyType | undefined {
  if (text === undefined || text === 'rsa' || text === 'ed25519') return text
  throw new UsageError(`'${text}' is not a kind of key: rsa or ed25519`)
}
