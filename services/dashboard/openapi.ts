import { schemaOf } from './action-fields.ts'
import type { Fields } from './action-fields.ts'
import type { ApiRoute } from './api-route.ts'
import { schemas } from './api-schemas.ts'
import type { Schema } from './api-schemas.ts'

const notUnderstood = 'What came along is not understood'
const errors: Readonly<Record<string, string>> = {
  401: 'No token, or one that is good for nothing',
  403: 'The token has not the scope',
  404: 'There is no such thing',
  409: 'It cannot be done as things are',
  503: 'Redis, or what else is asked, is away',
}

/** The OpenAPI 3.1 document of the routes: what is served is what is described. */
export function openApiDocument(routes: readonly ApiRoute[]): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Sluice', version: '1', description: 'Queues and messages. Tokens: `sluicectl token NAME`.' },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    security: [{ token: [] }],
    paths,
  }
}

const mailBody = {
  required: true,
  description: 'A message as it lies in a mailbox.',
  content: { 'message/rfc822': { schema: { type: 'string' } } },
}

const mailAnswer = {
  description: 'The message as it was received.',
  content: { 'message/rfc822': { schema: { type: 'string' } } },
}

function jsonBody(fields: Fields): object {
  return { required: false, content: { 'application/json': { schema: schemaOf(fields) } } }
}

function operation(route: ApiRoute): object {
  const told = Object.entries(errors).map(([code, description]) => [code, answer(description, schemas.error)])
  return {
    summary: route.summary,
    operationId: operationId(route),
    description: `Scope ${route.scope}.`,
    ...(route.takesMail === true ? { requestBody: mailBody } : {}),
    ...(route.fields === undefined ? {} : { requestBody: jsonBody(route.fields) }),
    parameters: [...pathParameters(route.path), ...queryParameters(route.query ?? {})],
    responses: {
      200: route.givesMail === true ? mailAnswer : answer('As asked', route.answer),
      ...(route.fields === undefined && route.mayRefuse === undefined
        ? {}
        : { 400: answer(notUnderstood, schemas.error) }),
      ...(route.takesMail === true ? { 415: answer('No message came along', schemas.error) } : {}),
      ...Object.fromEntries(told),
    },
  }
}

/** `GET /api/v1/queues/:name` is `getQueuesName`. */
function operationId({ method, path }: ApiRoute): string {
  const words = path.split('/').slice(3)
  return method.toLowerCase() + words.map((word) => capital(word.replace(':', ''))).join('')
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}

function pathParameters(path: string): readonly object[] {
  const names = [...path.matchAll(/:(\w+)/g)].map((match) => match[1])
  return names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } }))
}

function queryParameters(query: Readonly<Record<string, Schema>>): readonly object[] {
  return Object.entries(query).map(([name, schema]) => ({ name, in: 'query', required: false, schema }))
}

function answer(description: string, schema: Schema): object {
  return { description, content: { 'application/json': { schema } } }
}
