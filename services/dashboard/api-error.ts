import type { Seen } from '../../shared/report/views.ts'

/** The answer is an error that its asker can understand. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: 400 | 403 | 404 | 409 | 415 | 503

  constructor(code: ApiError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** @throws ApiError */
export function seenOr503<T>(seen: Seen<T>): T {
  if (seen.kind === 'away') throw new ApiError(503, seen.reason)
  return seen.value
}
