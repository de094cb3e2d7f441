import type { SocketPlace } from '../config/model.ts'
import { DovecotConnection, DovecotLostError, escaped, fitsLine } from './dovecot-connection.ts'
import type { DovecotReply, DovecotTimes } from './dovecot-connection.ts'
import { LoginUnavailableError } from './login-backend.ts'
import type { LoginBackend, LoginClient } from './login-backend.ts'
import type { SaslStep } from './sasl-step.ts'

export interface DovecotLogin extends LoginBackend {
  readonly checkPassword: NonNullable<LoginBackend['checkPassword']>
  readonly begin: NonNullable<LoginBackend['begin']>
  close(): void
}

const defaultTimes: DovecotTimes = { connectMs: 10_000, answerMs: 30_000, idleMs: 2_000 }

/**
 * Logins asked of Dovecot's auth service, over one connection that is opened when it is needed and again when it broke. A request on
 * which it broke is made once more, so that a restart of Dovecot is not noticed.
 */
export function openDovecotLogin(place: SocketPlace, times: DovecotTimes = defaultTimes): DovecotLogin {
  let current: DovecotConnection | undefined
  /** Whoever comes in the meantime has the same outcome. */
  let opening: Promise<DovecotConnection> | undefined
  let closed = false

  function connected(): DovecotConnection | Promise<DovecotConnection> {
    if (closed) throw new LoginUnavailableError('dovecot: closed')
    if (current?.isLost === false) return current
    opening ??= open().finally(() => (opening = undefined))
    return opening
  }

  async function open(): Promise<DovecotConnection> {
    current = await DovecotConnection.open(place, times)
    if (closed) current.close()
    return current
  }

  async function request(mechanism: string, fields: readonly string[]): Promise<SaslStep> {
    const asked = await connected()
    if (!asked.mechanisms.has(mechanism))
      throw new LoginUnavailableError(`dovecot: ${mechanism} is not among its auth_mechanisms`)
    const id = asked.nextId()
    return stepOf(await asked.ask('AUTH', id, [mechanism, ...fields]), asked, id)
  }

  async function begin(mechanism: string, initial: Buffer | undefined, client: LoginClient): Promise<SaslStep> {
    const fields = requestFields(initial, client)
    if (!fitsLine(fields) || !/^[A-Z0-9_-]{1,20}$/.test(mechanism)) return refused
    try {
      return await request(mechanism, fields)
    } catch (error) {
      if (!(error instanceof DovecotLostError) || closed) throw error
      return request(mechanism, fields)
    }
  }

  return {
    name: `dovecot ${place.kind === 'unix' ? place.path : `${place.host}:${place.port}`}`,
    begin,
    async checkPassword(user, password, client) {
      // NUL divides the parts of PLAIN (RFC 4616 section 2).
      if (user.includes('\0') || password.includes('\0')) return refused
      const step = await begin('PLAIN', Buffer.from(`\0${user}\0${password}`), client)
      if (step.kind !== 'challenge') return step
      step.cancel()
      throw new LoginUnavailableError('dovecot: it asks on after PLAIN')
    },
    close() {
      closed = true
      current?.close()
    },
  }
}

const refused = { kind: 'refused' } as const

/** `resp` stands last (auth protocol, "AUTH"). */
function requestFields(initial: Buffer | undefined, { address, secure }: LoginClient): readonly string[] {
  const [remote = ''] = address.split('%')
  return [
    'service=smtp',
    // The login process of Dovecot would ask its master to go on; we do not.
    'nologin',
    ...(remote === '' ? [] : [`rip=${escaped(remote)}`]),
    ...(secure ? ['secured'] : []),
    ...(initial === undefined ? [] : [`resp=${initial.toString('base64')}`]),
  ]
}

function stepOf(reply: DovecotReply, connection: DovecotConnection, id: number): SaslStep {
  switch (reply.word) {
    case 'OK':
      return accepted(reply.fields)
    case 'FAIL':
      return failed(reply.fields)
    case 'CONT':
      return {
        kind: 'challenge',
        challenge: Buffer.from(reply.fields[0] ?? '', 'base64'),
        async answer(response) {
          const fields = [response.toString('base64')]
          if (fitsLine(fields)) return stepOf(await connection.ask('CONT', id, fields), connection, id)
          connection.cancel(id)
          return refused
        },
        cancel: () => connection.cancel(id),
      }
  }
}

/** Dovecot names the user as it knows it. A user that may not log in, or a name that no line could bear, is none. */
function accepted(fields: readonly string[]): SaslStep {
  const user = valueOf('user', fields)
  if (user === undefined || user === '') throw new LoginUnavailableError('dovecot: it accepts without naming a user')
  if (fields.includes('nologin') && !fields.includes('proxy')) return refused
  if (/[\0-\x1f\x7f]/.test(user)) return refused
  return { kind: 'accepted', user }
}

/** @throws LoginUnavailableError: it could not look */
function failed(fields: readonly string[]): SaslStep {
  if (fields.includes('temp') || valueOf('code', fields) === 'temp_fail')
    throw new LoginUnavailableError(`dovecot: ${valueOf('reason', fields) ?? 'a temporary failure of its own'}`)
  return refused
}

function valueOf(name: string, fields: readonly string[]): string | undefined {
  return fields.find((field) => field.startsWith(`${name}=`))?.slice(name.length + 1)
}
