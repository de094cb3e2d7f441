import { createHash, createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import { createServer, get } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import forge from 'node-forge'

/** A certificate authority that speaks RFC 8555, checks what it is sent, and looks for the proof before it signs. */
export interface TestAuthority {
  readonly directory: string
  /** Contacts of the accounts. */
  readonly contacts: string[]
  /** Certificates given out. */
  readonly issued: () => number
  close(): Promise<void>
}

export interface TestAuthorityOptions {
  readonly type: 'http-01' | 'dns-01'
  /** Whether the proof is there. */
  proves(proof: { readonly domain: string; readonly token: string; readonly expected: string }): Promise<boolean>
  /** Names another domain in place of those it was asked for. */
  readonly names?: readonly string[]
}

interface Order {
  status: 'pending' | 'ready' | 'valid' | 'invalid'
  readonly domains: readonly string[]
  readonly authorizations: Authorization[]
  certificate?: string
}

interface Authorization {
  readonly domain: string
  readonly token: string
  status: 'pending' | 'valid' | 'invalid'
}

interface Request {
  readonly path: string
  readonly payload: Record<string, unknown>
  readonly jwk: JsonWebKey
}

type Answer = { readonly status: number; readonly body: unknown; readonly location?: string }

export async function startAuthority(options: TestAuthorityOptions): Promise<TestAuthority> {
  const caKey = forge.pki.privateKeyFromPem(newKey())
  const nonces = new Set<string>()
  const accounts = new Map<string, JsonWebKey>()
  const orders: Order[] = []
  const contacts: string[] = []
  let issued = 0
  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const nonce = randomBytes(16).toString('base64url')
    nonces.add(nonce)
    response.setHeader('replay-nonce', nonce)
    try {
      const { status, body, location } = await answer(request)
      if (location !== undefined) response.setHeader('location', location)
      response.setHeader(
        'content-type',
        typeof body === 'string' ? 'application/pem-certificate-chain' : 'application/json',
      )
      response.writeHead(status)
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    } catch (error) {
      response.writeHead(400, { 'content-type': 'application/problem+json' })
      response.end(JSON.stringify({ type: 'urn:ietf:params:acme:error:malformed', detail: String(error) }))
    }
  }

  async function answer(request: IncomingMessage): Promise<Answer> {
    const path = request.url ?? ''
    if (path === '/directory') {
      const links = { newNonce: `${base}/nonce`, newAccount: `${base}/account`, newOrder: `${base}/order` }
      return { status: 200, body: { ...links, meta: { termsOfService: `${base}/terms` } } }
    }
    if (path === '/nonce') return { status: 200, body: {} }
    return act(await signed(request, path))
  }

  /** Checks the JWS (RFC 8555 section 6). */
  async function signed(request: IncomingMessage, path: string): Promise<Request> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const jws = JSON.parse(Buffer.concat(parts).toString()) as Record<'protected' | 'payload' | 'signature', string>
    const header = JSON.parse(decoded(jws.protected)) as { nonce: string; url: string; jwk?: JsonWebKey; kid?: string }
    if (!nonces.delete(header.nonce)) throw new Error('bad nonce')
    if (header.url !== `${base}${path}`) throw new Error('the url is not signed')
    const jwk = header.jwk ?? accounts.get(header.kid ?? '')
    if (jwk === undefined) throw new Error('unknown account')
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const text = Buffer.from(`${jws.protected}.${jws.payload}`)
    if (!verify('sha256', text, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(jws.signature, 'base64url')))
      throw new Error('bad signature')
    const payload = jws.payload === '' ? {} : (JSON.parse(decoded(jws.payload)) as Record<string, unknown>)
    return { path, payload, jwk }
  }

  async function act({ path, payload, jwk }: Request): Promise<Answer> {
    const [, what = '', number = '', part = ''] = path.split('/')
    if (what === 'account') return account(payload, jwk)
    if (what === 'order' && number === '') return order(payload)
    const one = orders[Number(number)]
    if (one === undefined) throw new Error(`no ${path}`)
    if (what === 'order') return { status: 200, body: shown(one) }
    if (what === 'finalize') return finalize(one, payload)
    if (what === 'certificate') return { status: 200, body: one.certificate ?? '' }
    const authorization = one.authorizations[Number(part)]
    if (authorization === undefined) throw new Error(`no ${path}`)
    if (what === 'challenge') await judge(one, authorization, jwk)
    if (payload['status'] === 'deactivated') authorization.status = 'invalid'
    const body = authorizationShown(number, part, authorization)
    return { status: 200, body: what === 'challenge' ? body.challenges[0] : body }
  }

  function account(payload: Record<string, unknown>, jwk: JsonWebKey): Answer {
    if (payload['termsOfServiceAgreed'] !== true && payload['onlyReturnExisting'] !== true)
      throw new Error('terms not agreed to')
    const known = [...accounts].find(([, key]) => key.x === jwk.x)?.[0]
    const location = known ?? `${base}/account/${accounts.size}`
    accounts.set(location, jwk)
    if (known === undefined) contacts.push(...((payload['contact'] as string[] | undefined) ?? []))
    return { status: known === undefined ? 201 : 200, body: { status: 'valid' }, location }
  }

  function order(payload: Record<string, unknown>): Answer {
    const domains = (payload['identifiers'] as { value: string }[]).map(({ value }) => value)
    const authorizations = domains.map((domain) => ({
      domain: domain.replace(/^\*\./, ''),
      token: randomBytes(16).toString('base64url'),
      status: 'pending' as const,
    }))
    orders.push({ status: 'pending', domains, authorizations })
    return { status: 201, body: shown(orders.at(-1) as Order), location: `${base}/order/${orders.length - 1}` }
  }

  function shown(one: Order) {
    const number = orders.indexOf(one)
    return {
      status: one.status,
      identifiers: one.domains.map((value) => ({ type: 'dns', value })),
      authorizations: one.authorizations.map((_, part) => `${base}/authorization/${number}/${part}`),
      finalize: `${base}/finalize/${number}`,
      ...(one.certificate === undefined ? {} : { certificate: `${base}/certificate/${number}` }),
    }
  }

  function authorizationShown(number: string, part: string, { domain, token, status }: Authorization) {
    const url = `${base}/challenge/${number}/${part}`
    return {
      status,
      identifier: { type: 'dns', value: domain },
      challenges: [{ type: options.type, url, token, status }],
    }
  }

  async function judge(one: Order, authorization: Authorization, jwk: JsonWebKey): Promise<void> {
    const { domain, token } = authorization
    const thumbprint = sha256(JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }))
    const text = `${token}.${thumbprint}`
    const expected = options.type === 'http-01' ? text : sha256(text)
    authorization.status = (await options.proves({ domain, token, expected })) ? 'valid' : 'invalid'
    if (authorization.status === 'invalid') one.status = 'invalid'
    else if (one.authorizations.every(({ status }) => status === 'valid')) one.status = 'ready'
  }

  function finalize(one: Order, payload: Record<string, unknown>): Answer {
    if (one.status !== 'ready') throw new Error('nothing is proved')
    const der = Buffer.from(String(payload['csr']), 'base64url').toString('binary')
    const csr = forge.pki.certificationRequestFromAsn1(forge.asn1.fromDer(der))
    if (!csr.verify()) throw new Error('bad CSR')
    issued += 1
    one.certificate = certificateFor(csr, options.names ?? one.domains)
    one.status = 'valid'
    return { status: 200, body: shown(one) }
  }

  function certificateFor(csr: forge.pki.CertificateSigningRequest, domains: readonly string[]): string {
    const certificate = forge.pki.createCertificate()
    if (csr.publicKey === null) throw new Error('no key')
    certificate.publicKey = csr.publicKey
    certificate.serialNumber = `01${randomBytes(15).toString('hex')}`
    certificate.validity.notBefore = new Date(Date.now() - 60_000)
    certificate.validity.notAfter = new Date(Date.now() + 90 * 86_400_000)
    certificate.setSubject([{ name: 'commonName', value: domains[0] ?? '' }])
    certificate.setIssuer([{ name: 'commonName', value: 'Test authority' }])
    certificate.setExtensions([{ name: 'subjectAltName', altNames: domains.map((value) => ({ type: 2, value })) }])
    certificate.sign(caKey, forge.md.sha256.create())
    return forge.pki.certificateToPem(certificate)
  }

  return {
    directory: `${base}/directory`,
    contacts,
    issued: () => issued,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** What is found at the place of a proof by HTTP. */
export function fetchProof(port: number, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: `/.well-known/acme-challenge/${token}` }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve(`${response.statusCode} ${text}`))
    }).on('error', reject)
  })
}

/** Short: nobody checks what it signs. */
function newKey(): string {
  return generateKeyPairSync('rsa', { modulusLength: 1024 })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()
}

function decoded(text: string): string {
  return Buffer.from(text, 'base64url').toString()
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
