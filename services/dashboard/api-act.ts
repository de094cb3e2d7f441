import type { FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Asker } from '../../shared/operate/bulk-runs.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import { QueryError } from '../../shared/store/query.ts'
import type { Access } from './access.ts'
import { FieldsError, givenByJson } from './action-fields.ts'
import type { Fields, Given } from './action-fields.ts'
import { saidNow } from './actions.ts'
import type { Action } from './actions.ts'
import { ApiError } from './api-error.ts'
import type { Visitor } from './visitor.ts'

export interface AskedByApi {
  readonly request: FastifyRequest
  readonly caller: Visitor
  readonly action: string
  readonly about: string
}

/** Carries out what a program asks; what is refused is kept. @throws ApiError */
export async function actByApi<T>(
  { access, audit }: { readonly access: Access; readonly audit: Pick<Audit, 'record'> },
  { request, caller, action, about }: AskedByApi,
  act: (asker: Asker) => Promise<T>,
): Promise<T> {
  const { name = 'unknown' } = caller
  const from = access.client(request).address
  try {
    return await act({ by: `${name} (API)`, name, from })
  } catch (error) {
    const isTold = error instanceof OperationError || error instanceof QueryError
    const detail = isTold ? error.message : 'it failed; the log says why'
    audit.record({ by: name, from, action, about, outcome: 'refused', detail })
    if (!isTold) throw error
    throw new ApiError(error instanceof QueryError ? 400 : 409, error.message, { cause: error })
  }
}

interface AskedAction<Target> extends Omit<AskedByApi, 'action' | 'about'> {
  readonly action: Action<Target>
  readonly target: Target
  readonly about?: string
}

/** Carries out what a form of a page does, too; what came of it is kept. @throws ApiError */
export async function actionByApi<Target>(
  { access, audit }: { readonly access: Access; readonly audit: Pick<Audit, 'record'> },
  { request, caller, action, target, about }: AskedAction<Target>,
): Promise<{ readonly done: string }> {
  const { name: by = 'unknown' } = caller
  const given = givenOr400(request, action.fields)
  const record = (outcome: 'done' | 'refused', detail: string): void =>
    audit.record({
      by,
      from: access.client(request).address,
      action: action.name,
      ...(about === undefined ? {} : { about }),
      outcome,
      detail,
    })
  try {
    const done = saidNow(await action.run(target, `${by} (API)`, given), record)
    record('done', done)
    return { done }
  } catch (error) {
    const isTold = error instanceof OperationError || error instanceof QueueUnavailableError
    record('refused', isTold ? error.message : 'it failed; the log says why')
    if (!isTold) throw error
    throw new ApiError(error instanceof OperationError ? 409 : 503, error.message, { cause: error })
  }
}

/** @throws ApiError when what came along is not understood */
export function givenOr400(request: FastifyRequest, fields: Fields | undefined): Given {
  try {
    return givenByJson(request, fields)
  } catch (error) {
    if (error instanceof FieldsError) throw new ApiError(400, error.message, { cause: error })
    throw error
  }
}
