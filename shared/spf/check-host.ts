import { SocketAddress } from 'node:net'

import type { Address, Network } from '../config/network.ts'
import { isWithin, parseAddress } from '../config/network.ts'
import type { LookUp, Resolver } from '../resolver.ts'
import type { Macro, MacroString } from './macro-string.ts'
import { parseExplanation, transformed } from './macro-string.ts'
import type { CidrLengths, Mechanism, SpfRecord } from './record.ts'
import { isSpfRecord, parseSpfRecord } from './record.ts'

export type SpfVerdict = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'temperror' | 'permerror'

export interface HostQuestion {
  /** Address of the client. */
  readonly client: string
  /** Of the reverse-path, or HELO. In A-labels. */
  readonly domain: string
  /** Of the reverse-path; absent: `postmaster` (§4.3). */
  readonly localPart?: string
  readonly helo: string
  /** Our name, for %{r} of explanations. */
  readonly receiver: string
  /** Epoch ms, for %{t} of explanations. */
  readonly atMs: number
}

export interface SpfAnswer {
  readonly result: SpfVerdict
  /** Of a `fail`: the first 200 characters of what the domain has to say about it (exp=, §6.2). Printable ASCII of a stranger. */
  readonly explanation?: string
  /** Something in it depends on the sender's local part or on the time, so that it says nothing about other senders. */
  readonly personal: boolean
}

type Dns = Omit<Resolver, 'close'>

/** Terms that ask DNS, of one check (RFC 7208 §4.6.4). */
const maxTerms = 10
/** Questions of terms without an answer. */
const maxVoid = 2
/** Characters of an explanation. */
const maxExplanation = 200
/** Hosts of an MX term; names of a PTR look-up. */
const maxNames = 10

/**
 * check_host() of RFC 7208 §4. Each record is read whole before any of it is carried out; a DNS failure is `temperror`
 * whatever stands behind it.
 */
export async function checkHost(question: HostQuestion, resolver: Dns): Promise<SpfAnswer> {
  const address = clientAddress(question.client)
  if (address === undefined) return { result: 'none', personal: false }
  const check = new HostCheck(question, address, resolver)
  try {
    const { result, explainedBy } = await check.domain(question.domain)
    const explanation = explainedBy && (await check.explanation(explainedBy))
    return { result, personal: check.personal, ...(explanation === undefined ? {} : { explanation }) }
  } catch (error) {
    if (!(error instanceof SpfError)) throw error
    return { result: error.result, personal: check.personal }
  }
}

/** Ends the check with this result, from whatever depth. */
class SpfError extends Error {
  override readonly name = 'SpfError'
  readonly result: 'temperror' | 'permerror'

  constructor(result: 'temperror' | 'permerror') {
    super(result)
    this.result = result
  }
}

/** An exp= and the domain whose record has it. */
interface Explained {
  readonly domain: string
  readonly target: MacroString
}

interface Found {
  readonly result: Exclude<SpfVerdict, 'temperror' | 'permerror'>
  readonly explainedBy?: Explained
}

/** One check, with what it has used up of its limits. */
class HostCheck {
  readonly #question: HostQuestion
  readonly #client: Address
  readonly #resolver: Dns
  #terms = 0
  #void = 0
  #personal = false
  #names: Promise<readonly string[]> | undefined

  constructor(question: HostQuestion, client: Address, resolver: Dns) {
    this.#question = question
    this.#client = client
    this.#resolver = resolver
  }

  get personal(): boolean {
    return this.#personal
  }

  /** @throws SpfError */
  async domain(domain: string): Promise<Found> {
    if (!isMultiLabelName(domain)) return { result: 'none' }
    const record = recordAmong(found(await this.#resolver.txt(domain)))
    if (record === 'none') return { result: 'none' }
    if (record === 'broken') throw new SpfError('permerror')
    for (const { mechanism, result } of record.directives) {
      if (!(await this.#matches(mechanism, domain))) continue
      return result === 'fail' && record.explanation !== undefined
        ? { result, explainedBy: { domain, target: record.explanation } }
        : { result }
    }
    if (record.redirect === undefined) return { result: 'neutral' }
    this.#countTerm()
    const answer = await this.domain(await this.#targetName(record.redirect, domain))
    if (answer.result === 'none') throw new SpfError('permerror')
    return answer
  }

  /** Nothing at any trouble with it (§6.2). */
  async explanation({ domain, target }: Explained): Promise<string | undefined> {
    try {
      const answer = await this.#resolver.txt(await this.#targetName(target, domain))
      if (answer.kind !== 'found' || answer.records.length !== 1) return undefined
      const parts = parseExplanation(answer.records[0] ?? '')
      return parts && copyOf((await this.#expand(parts, domain, maxExplanation)).slice(0, maxExplanation))
    } catch (error) {
      if (error instanceof SpfError) return undefined
      throw error
    }
  }

  async #matches(mechanism: Mechanism, domain: string): Promise<boolean> {
    switch (mechanism.kind) {
      case 'all':
        return true
      case 'network':
        return isWithin(mechanism.network, this.#client)
      case 'include':
        return this.#includes(await this.#termName(mechanism.domain, domain))
      case 'exists':
        return this.#counted(await this.#resolver.a(await this.#termName(mechanism.domain, domain))).length > 0
      case 'a': {
        const name = await this.#termName(mechanism.domain, domain)
        const answer = await this.#addresses(name)
        // That a host has IPv4 alone is no fault of the record: to an IPv6 client it is no match.
        const isHost = this.#client.family === 6 && answer.kind === 'absent' && !answer.name
        return !isHost && this.#counted(answer).some((text) => this.#isClient(text, mechanism.bits))
      }
      case 'mx':
        return this.#isMx(await this.#termName(mechanism.domain, domain), mechanism.bits)
      case 'ptr':
        return this.#hasNameBelow(await this.#termName(mechanism.domain, domain))
    }
  }

  /** §5.2: of an include only `pass` is a match, and no record an error. */
  async #includes(name: string): Promise<boolean> {
    const { result } = await this.domain(name)
    if (result === 'none') throw new SpfError('permerror')
    return result === 'pass'
  }

  async #isMx(name: string, bits: CidrLengths): Promise<boolean> {
    const hosts = this.#counted(await this.#resolver.mx(name))
    if (hosts.length > maxNames) throw new SpfError('permerror')
    const answers = await Promise.all(
      hosts.filter(({ exchange }) => exchange !== '').map(({ exchange }) => this.#addresses(exchange)),
    )
    const isMatch = answers.some(
      (answer) => answer.kind === 'found' && answer.records.some((text) => this.#isClient(text, bits)),
    )
    if (!isMatch && answers.some(({ kind }) => kind === 'failed')) throw new SpfError('temperror')
    return isMatch
  }

  /** A failed look-up is no match here (§5.5). */
  async #hasNameBelow(domain: string): Promise<boolean> {
    const names = await this.#validatedNames()
    return names.some((name) => isSameOrBelow(name, domain.toLowerCase()))
  }

  /** Names of the client that lead back to it, in lower case (§5.5). */
  #validatedNames(): Promise<readonly string[]> {
    this.#names ??= this.#lookUpNames()
    return this.#names
  }

  async #lookUpNames(): Promise<readonly string[]> {
    const answer = await this.#resolver.ptr(addressText(this.#client))
    if (answer.kind === 'absent') this.#countVoid()
    if (answer.kind !== 'found') return []
    const names = answer.records.slice(0, maxNames).map((name) => name.toLowerCase().replace(/\.$/, ''))
    const answers = await Promise.all(names.map((name) => this.#addresses(name)))
    return names.filter((_, index) => {
      const addresses = answers[index]
      return addresses?.kind === 'found' && addresses.records.some((text) => this.#isClient(text, wholeAddress))
    })
  }

  #addresses(name: string): Promise<LookUp<string>> {
    return this.#client.family === 4 ? this.#resolver.a(name) : this.#resolver.aaaa(name)
  }

  #isClient(text: string, bits: CidrLengths): boolean {
    const address = parseAddress(text)
    return address !== undefined && isWithin(networkAround(address, bits[address.family]), this.#client)
  }

  /** @throws SpfError for the term that is one too many */
  #countTerm(): void {
    this.#terms += 1
    if (this.#terms > maxTerms) throw new SpfError('permerror')
  }

  #countVoid(): void {
    this.#void += 1
    if (this.#void > maxVoid) throw new SpfError('permerror')
  }

  /** The records that answer a term. @throws SpfError */
  #counted<T>(answer: LookUp<T>): readonly T[] {
    if (answer.kind === 'absent') this.#countVoid()
    return found(answer)
  }

  /** The name a term that asks DNS is about. @throws SpfError */
  #termName(spec: MacroString | undefined, domain: string): Promise<string> | string {
    this.#countTerm()
    return spec === undefined ? domain : this.#targetName(spec, domain)
  }

  async #targetName(spec: MacroString, domain: string): Promise<string> {
    return shortened((await this.#expand(spec, domain)).replace(/\.$/, ''))
  }

  /** @param enough so many characters are wanted at least, if there are as many */
  async #expand(parts: MacroString, domain: string, enough = Infinity): Promise<string> {
    let text = ''
    for (const part of parts) {
      if (text.length >= enough) break
      text += typeof part === 'string' ? part : transformed(part, await this.#value(part.letter, domain))
    }
    return text
  }

  /** §7.2 */
  #value(letter: Macro['letter'], domain: string): Promise<string> | string {
    const { localPart = 'postmaster', helo, receiver, atMs } = this.#question
    if (letter === 's' || letter === 'l' || letter === 't') this.#personal = true
    switch (letter) {
      case 's':
        return `${localPart}@${this.#question.domain}`
      case 'l':
        return localPart
      case 'o':
        return this.#question.domain
      case 'd':
        return domain
      case 'i':
        return this.#client.family === 4 ? addressText(this.#client) : hexDigits(this.#client).split('').join('.')
      case 'p':
        return this.#bestName(domain)
      case 'v':
        return this.#client.family === 4 ? 'in-addr' : 'ip6'
      case 'h':
        return helo
      case 'c':
        return readableText(this.#client)
      case 'r':
        return receiver
      case 't':
        return String(Math.floor(atMs / 1000))
    }
  }

  /** The domain itself before names below it before any other (§7.3). */
  async #bestName(domain: string): Promise<string> {
    const names = await this.#validatedNames()
    const lower = domain.toLowerCase()
    return (
      names.find((name) => name === lower) ?? names.find((name) => isSameOrBelow(name, lower)) ?? names[0] ?? 'unknown'
    )
  }
}

/** A part of a string keeps all of it in memory; explanations are kept. */
function copyOf(text: string): string {
  return Buffer.from(text).toString()
}

const wholeAddress: CidrLengths = { 4: 32, 6: 128 }

/** @throws SpfError for a failed look-up */
function found<T>(answer: LookUp<T>): readonly T[] {
  if (answer.kind === 'failed') throw new SpfError('temperror')
  return answer.kind === 'found' ? answer.records : []
}

/** Parsed once for as long as the resolver keeps the answer. */
function recordAmong(texts: readonly string[]): SpfRecord | 'none' | 'broken' {
  const known = parsed.get(texts)
  if (known !== undefined) return known
  const [text, ...more] = texts.filter(isSpfRecord)
  const record = text === undefined ? 'none' : more.length > 0 ? 'broken' : (parseSpfRecord(text) ?? 'broken')
  parsed.set(texts, record)
  return record
}

const parsed = new WeakMap<readonly string[], SpfRecord | 'none' | 'broken'>()

/** What may be looked up at all (§4.3). */
function isMultiLabelName(name: string): boolean {
  return name.length <= 253 && /^[^.]{1,63}(?:\.[^.]{1,63})+\.?$/s.test(name)
}

/** A name that is too long loses labels from the left (§7.3). */
function shortened(name: string): string {
  let rest = name
  while (rest.length > 253 && rest.includes('.')) rest = rest.slice(rest.indexOf('.') + 1)
  return rest.slice(-253)
}

function isSameOrBelow(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`)
}

/** An IPv4 client that came over IPv6 is an IPv4 client (§5). */
function clientAddress(text: string): Address | undefined {
  const address = parseAddress(text)
  if (address?.family !== 6 || address.value >> 32n !== 0xffffn) return address
  return { family: 4, value: address.value & 0xffffffffn }
}

function networkAround({ family, value }: Address, bits: number): Network {
  return { family, bits, prefix: value >> BigInt((family === 4 ? 32 : 128) - bits) }
}

function hexDigits({ value }: Address): string {
  return value.toString(16).padStart(32, '0')
}

/** As people write it: `2001:db8::1`. */
function readableText(address: Address): string {
  const text = addressText(address)
  return address.family === 4 ? text : new SocketAddress({ address: text, family: 'ipv6' }).address
}

function addressText(address: Address): string {
  if (address.family === 6) return (hexDigits(address).match(/.{4}/g) ?? []).join(':')
  return [24n, 16n, 8n, 0n].map((shift) => (address.value >> shift) & 255n).join('.')
}
