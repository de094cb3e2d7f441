import type { OAuthSetting } from '../config/model.ts'
import { askHttp, secretIn } from './http-question.ts'
import { LoginUnavailableError } from './login-backend.ts'
import type { LoginBackend, LoginVerdict } from './login-backend.ts'
import { userNamed } from './user-named.ts'

/** Tokens of OAuth 2, asked of the server that gave them out (RFC 7662). A token of one user never lets in another. */
export function oauthLogin(setting: OAuthSetting, now: () => number): LoginBackend {
  const { introspectUrl: url, client, userField, scope, timeoutMs } = setting
  const name = `oauth ${url}`

  async function introspect(token: string): Promise<Readonly<Record<string, unknown>>> {
    const body = new URLSearchParams({ token, token_type_hint: 'access_token' }).toString()
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      ...(client === undefined
        ? {}
        : { authorization: `Basic ${basic(client.id, await secretIn(client.secretFile))}` }),
    }
    const { status, fields } = await askHttp({ name, url, headers, body, timeoutMs })
    if (status !== 200 || fields === undefined) throw new LoginUnavailableError(`${name}: it answers ${status}`)
    return fields
  }

  return {
    name,
    async checkToken(token, user): Promise<LoginVerdict> {
      const fields = await introspect(token)
      if (fields['active'] !== true || isOver(fields['exp'], now())) return { kind: 'refused' }
      const scopes = typeof fields['scope'] === 'string' ? fields['scope'].split(' ') : []
      if (scope !== undefined && !scopes.includes(scope)) return { kind: 'refused' }
      const verdict = userNamed(fields[userField])
      if (verdict.kind !== 'accepted') return verdict
      return user === '' || user.toLowerCase() === verdict.user.toLowerCase() ? verdict : { kind: 'refused' }
    },
  }
}

function isOver(exp: unknown, now: number): boolean {
  return typeof exp === 'number' && exp * 1_000 <= now
}

/** RFC 6749 section 2.3.1: both parts are form-encoded first. */
function basic(id: string, secret: string): string {
  return Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')
}
