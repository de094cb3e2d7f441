import type { FastifyInstance, FastifyRequest } from 'fastify'

/** What came as multipart/form-data is none. */
class UploadError extends Error {
  override readonly name = 'UploadError'
  readonly statusCode = 400
}

/**
 * Forms with files (RFC 7578), for the routes of one scope: read as other forms are, a chosen file in place of the text field of its name. They are
 * kept in memory whole, so the limit of the route is what keeps them small.
 */
export function addUploadParser(scope: FastifyInstance): void {
  scope.addContentTypeParser(
    'multipart/form-data',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => fieldsOf(body, request.headers['content-type'] ?? ''),
  )
}

async function fieldsOf(body: Buffer, type: string): Promise<URLSearchParams> {
  const fields = new URLSearchParams()
  for (const [name, value] of await partsOf(body, type)) {
    if (typeof value === 'string') fields.append(name, value)
    // A file that was not chosen comes, too, without an octet.
    else if (value.size > 0) fields.set(name, await value.text())
  }
  return fields
}

/** Texts before files: a file counts, wherever it stands in the form. */
async function partsOf(body: Buffer, type: string) {
  try {
    const parts = [...(await new Response(body, { headers: { 'content-type': type } }).formData())]
    const isText = ([, value]: (typeof parts)[number]): boolean => typeof value === 'string'
    return [...parts.filter(isText), ...parts.filter((part) => !isText(part))]
  } catch (error) {
    throw new UploadError('the form cannot be read', { cause: error })
  }
}
