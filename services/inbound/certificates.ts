import { X509Certificate, createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { SecureContext, SecureContextOptions } from 'node:tls'

import type { Pki } from '../../shared/config/model.ts'
import type { TicketKeys } from './ticket-keys.ts'

export interface CertificateOptions {
  /** The first serves clients that name no host, or one we have no certificate for. */
  readonly pkis: readonly Pki[]
  /** Versions and ciphers of the listener. */
  readonly tls: Pick<SecureContextOptions, 'minVersion' | 'maxVersion' | 'ciphers'>
  /** File of the authorities that client certificates are checked against. */
  readonly clientCa?: string
  readonly client: ClientProof
  /** Seals session tickets. */
  readonly tickets: Pick<TicketKeys, 'current'>
  /** Told when changed files cannot be used and the old certificate stays. */
  readonly onWarning: (message: string) => void
}

/** What clients must show of themselves: a certificate, one if they have it, nothing. */
export type ClientProof = 'demanded' | 'asked' | 'none'

interface Loaded {
  readonly names: readonly string[]
  readonly context: SecureContext
}

/** The certificates of a listener, chosen by the names in them (SNI), read again when the files change. */
export class Certificates {
  readonly #options: CertificateOptions
  #text: string
  #loaded: readonly Loaded[]

  private constructor(options: CertificateOptions, files: readonly PkiFiles[]) {
    this.#options = options
    this.#text = JSON.stringify(files)
    this.#loaded = files.map((one) => load(one, options))
  }

  /** @throws an error that names pki and file */
  static async open(options: CertificateOptions): Promise<Certificates> {
    return new Certificates(options, await readAll(options))
  }

  /** For a handshake that asks for `name`; the first for the empty name. */
  contextFor(name: string): SecureContext {
    const wanted = name.toLowerCase()
    const found = this.#loaded.find(({ names }) => names.some((one) => covers(one, wanted))) ?? this.#loaded[0]
    if (found === undefined) throw new Error('a TLS listener without a certificate')
    return found.context
  }

  /** Reads the files again; handshakes from now on see the new ones, open sessions are left alone. */
  async refresh(): Promise<void> {
    try {
      const files = await readAll(this.#options)
      const text = JSON.stringify(files)
      if (text === this.#text) return
      this.#loaded = files.map((one) => load(one, this.#options))
      this.#text = text
    } catch (error) {
      this.#options.onWarning(`${(error as Error).message}; the certificate read before stays in use`)
    }
  }
}

interface PkiFiles {
  readonly name: string
  readonly dhe: Pki['dhe']
  readonly cert: string
  readonly key: string
  readonly ca?: string
  /** In base64. */
  readonly ticketKey: string
}

async function readAll({ pkis, clientCa, tickets }: CertificateOptions): Promise<readonly PkiFiles[]> {
  const ca = clientCa === undefined ? undefined : await read('ca', clientCa)
  return Promise.all(
    pkis.map(async ({ name, cert, key, dhe }) => ({
      name,
      dhe,
      cert: await read(`pki "${name}"`, cert),
      key: await read(`pki "${name}"`, key),
      ...(ca === undefined ? {} : { ca }),
      ticketKey: tickets.current.toString('base64'),
    })),
  )
}

async function read(owner: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new Error(`${owner}: ${(error as Error).message}`, { cause: error })
  }
}

function load({ name, cert, key, ca, dhe, ticketKey }: PkiFiles, { tls, client }: CertificateOptions): Loaded {
  try {
    const context = createSecureContext({
      cert,
      key,
      ...tls,
      honorCipherOrder: true,
      sessionIdContext: sessionsOf(client, ca),
      ticketKeys: Buffer.from(ticketKey, 'base64'),
      ...(dhe === 'auto' ? { dhparam: 'auto' } : {}),
      ...(ca === undefined ? {} : { ca }),
    })
    return { names: namesIn(new X509Certificate(cert)), context }
  } catch (error) {
    throw new Error(`pki "${name}": ${(error as Error).message}`, { cause: error })
  }
}

/** What a client proved to one listener, a session that it resumes proves to others of the same name only: one without a certificate counts as proved. */
function sessionsOf(client: ClientProof, ca: string | undefined): string {
  if (client === 'none') return 'sluice'
  return createHash('sha256')
    .update(`${client} ${ca ?? ''}`)
    .digest('hex')
    .slice(0, 32)
}

/** DNS names of the certificate; the common name only when there are none (RFC 6125 §6.4.4). */
function namesIn(certificate: X509Certificate): readonly string[] {
  const alternatives = [...(certificate.subjectAltName ?? '').matchAll(/DNS:([^,\s"]+)/g)].map(
    (match) => match[1] ?? '',
  )
  const common = /^CN=(.+)$/m.exec(certificate.subject)?.[1]
  const names = alternatives.length > 0 || common === undefined ? alternatives : [common]
  return names.map((name) => name.toLowerCase())
}

/** A wildcard stands for one whole label on the left. */
function covers(pattern: string, name: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === name
  return name.slice(name.indexOf('.') + 1) === pattern.slice(2) && name.includes('.')
}
