import type { LoginSetting } from '../config/model.ts'
import { askHttp, secretIn } from './http-question.ts'
import { LoginUnavailableError } from './login-backend.ts'
import type { LoginBackend, LoginVerdict } from './login-backend.ts'
import { userNamed } from './user-named.ts'

/**
 * A service that is sent `{"user", "password", "address", "secure"}` by POST: 200 lets in, under the name in `user` of its answer when there is
 * one; 401, 403 and 404 do not; anything else is a temporary failure.
 */
export function httpLogin(setting: Extract<LoginSetting, { kind: 'http' }>): LoginBackend {
  const { url, secretFile, timeoutMs } = setting
  const name = `http ${url}`
  return {
    name,
    async checkPassword(user, password, { address, secure }): Promise<LoginVerdict> {
      const secret = secretFile === undefined ? {} : { authorization: `Bearer ${await secretIn(secretFile)}` }
      const headers = { 'content-type': 'application/json', ...secret }
      const body = JSON.stringify({ user, password, address, secure })
      const { status, fields } = await askHttp({ name, url, headers, body, timeoutMs })
      if ([401, 403, 404].includes(status)) return { kind: 'refused' }
      if (status !== 200) throw new LoginUnavailableError(`${name}: it answers ${status}`)
      return userNamed(fields?.['user'] ?? user)
    },
  }
}
