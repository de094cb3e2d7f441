import type { Clock } from '../clock.ts'
import type { LoginSetting, SocketPlace } from '../config/model.ts'
import type { PasswordVerifier } from '../crypt/verify-password.ts'
import { openDovecotLogin } from './dovecot-login.ts'
import type { DovecotLogin } from './dovecot-login.ts'
import { httpLogin } from './http-login.ts'
import { oauthLogin } from './oauth-login.ts'
import type { LoginBackend } from './login-backend.ts'
import { tableLogin } from './table-login.ts'
import type { LoginTables } from './table-login.ts'

export interface LoginParts {
  readonly tables: LoginTables
  readonly verifier: Pick<PasswordVerifier, 'verify'>
  readonly clock: Clock
}

/** The back ends of one process. What holds a connection is opened once, whichever listeners and configurations use it. */
export interface LoginBackends {
  of(setting: LoginSetting): LoginBackend
  close(): void
}

export function createLoginBackends({ tables, verifier, clock }: LoginParts): LoginBackends {
  const dovecots = new Map<string, DovecotLogin>()

  function dovecotAt(place: SocketPlace): DovecotLogin {
    const key = JSON.stringify(place)
    const known = dovecots.get(key) ?? openDovecotLogin(place)
    dovecots.set(key, known)
    return known
  }

  return {
    of(setting) {
      switch (setting.kind) {
        case 'table':
          return tableLogin(setting.table, tables, verifier)
        case 'dovecot':
          return dovecotAt(setting.place)
        case 'http':
          return httpLogin(setting)
        case 'oauth':
          return oauthLogin(setting, clock.now)
      }
    },
    close() {
      for (const dovecot of dovecots.values()) dovecot.close()
    },
  }
}
