import { join } from 'node:path'

import { chosenKey, keyWith, keysFor, neededOf, noKey, recordOf } from '../../shared/dkim/configured-keys.ts'
import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import { keyLives } from '../../shared/dkim/key-lives.ts'
import type { KeyLife } from '../../shared/dkim/key-lives.ts'
import type { KeyType } from '../../shared/dkim/public-key.ts'
import { publicationOf } from '../../shared/dkim/publication.ts'
import type { Publication } from '../../shared/dkim/publication.ts'
import { isSelector, makeKey, retireKey, rotateKey } from '../../shared/dkim/rotate-key.ts'
import { isDomain } from '../../shared/mail/address.ts'
import { asciiDomain } from '../../shared/mail/ascii-domain.ts'
import { createResolver } from '../../shared/resolver.ts'
import type { Resolver } from '../../shared/resolver.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { dataFolderOf, loadPlace } from './connect.ts'
import { workAsOwner } from './data-owner.ts'
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

export const dkimRetire: Command = {
  words: ['dkim', 'retire'],
  operands: [
    { name: 'DOMAIN', required: true },
    { name: 'SELECTOR', required: true },
  ],
  summary: 'remove a DKIM key that was replaced and is not needed any more; the next rotation would',
  run: retire,
}

async function generate(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const domain = domainOperand(invocation)
  const selector = checkedSelector(invocation.operands[1] ?? '')
  const type = typeOf(options.text('type')) ?? 'rsa'
  const dataFolder = dataFolderOf(invocation)
  const file = options.text('key') ?? join(dataFolder, 'dkim', `${domain}.${selector}.key`)
  if (!options.has('key')) workAsOwner(dataFolder)
  const record = dkimRecord(await makeKey(file, type), selector, domain)
  if (options.has('json')) terminal.print(JSON.stringify({ ...record, keyFile: file }, undefined, 2))
  else {
    terminal.print(record.zoneLine)
    terminal.print(`dkim domain "${domain}" selector "${selector}" key "${file}"`)
  }
  return exitCodes.done
}

interface KeyState extends KeyLife {
  readonly publication: Publication
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
    for (const key of keys) {
      const lives = await keyLives(key, domain ?? configuration.hostname, neededOf(configuration))
      states.push(...(await Promise.all(lives.map((one) => withPublication(one, resolver)))))
    }
  } finally {
    resolver.close()
  }
  if (options.has('json')) terminal.print(JSON.stringify({ keys: states }, undefined, 2))
  else for (const line of lines(states)) terminal.print(line)
  return states.some(({ use, publication }) => use === 'signs' && isWrong(publication))
    ? exitCodes.failed
    : exitCodes.done
}

async function withPublication(life: KeyLife, resolver: Resolver): Promise<KeyState> {
  return { ...life, publication: await publicationOf(life.record, resolver) }
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
  const key = chosenKey(configuration, domain, invocation.operands[1])
  const [selector, type] = [options.text('new'), typeOf(options.text('type'))]
  const { made, old, isNew } = await rotateKey(key, {
    ...(selector === undefined ? {} : { selector: checkedSelector(selector) }),
    ...(type === undefined ? {} : { type }),
    neededMs: neededOf(configuration),
    nowAt: Date.now(),
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

async function retire(invocation: Invocation): Promise<number> {
  const domain = domainOperand(invocation)
  const selector = checkedSelector(invocation.operands[1] ?? '')
  const { configuration } = await loadPlace(invocation)
  const key = await keyWith(configuration, domain, selector)
  await retireKey(key, selector, Date.now() - neededOf(configuration))
  invocation.terminal.print(`removed; its record ${selector}._domainkey.${key.domain} may go, too`)
  return exitCodes.done
}

function domainOperand({ operands }: Invocation): string {
  const domain = asciiDomain(operands[0] ?? '')?.toLowerCase()
  if (domain === undefined || !isDomain(domain)) throw new UsageError(`'${operands[0] ?? ''}' is not a domain`)
  return domain
}

function checkedSelector(text: string): string {
  if (!isSelector(text)) throw new UsageError(`'${text}' is not a selector: letters, digits, hyphens and dots`)
  return text.toLowerCase()
}

function typeOf(text: string | undefined): KeyType | undefined {
  if (text === undefined || text === 'rsa' || text === 'ed25519') return text
  throw new UsageError(`'${text}' is not a kind of key: rsa or ed25519`)
}
