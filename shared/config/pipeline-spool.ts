import type { BucketSettings, PipelineSettings } from './model.ts'
import { resolvePath } from './path.ts'
import { finish, namedFile, sizeOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'

/** Where accepted mail lies. */
export const spoolStatements: Readonly<Record<string, ParseStatement>> = { spool: parseSpool }

type SpoolSettings = NonNullable<PipelineSettings['spool']>

/** What is kept of a bucket on this host, unless said otherwise. */
export const defaultCacheBytes = 1024 ** 3

const example = '"https://s3.example.org/bucket/prefix", or "s3://bucket/prefix" of AWS'

/** `spool PATH|s3 URL [region NAME] [cache SIZE] [cache folder PATH] [compression] [quota SIZE] [key file PATH]`. */
function parseSpool(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  let spool: SpoolSettings = reader.accept('s3') ? bucketOf(draft) : folderOf(draft)
  while (!reader.atEnd()) {
    const { bucket } = spool
    if (reader.accept('quota')) spool = { ...spool, quotaBytes: sizeOf(reader) }
    else if (reader.accept('compression')) spool = { ...spool, compression: true }
    else if (reader.accept('key')) {
      reader.expect('file', 'behind "key"')
      spool = { ...spool, keyFile: namedFile(draft, 'the keys of the spool') }
    } else if (bucket !== undefined && reader.accept('region')) {
      spool = { ...spool, bucket: { ...bucket, region: regionOf(draft) } }
    } else if (bucket !== undefined && reader.accept('cache')) {
      spool = { ...spool, bucket: cacheOf(draft, bucket) }
    } else if (bucket === undefined) {
      reader.unexpected('quota, compression or key', ['quota', 'compression', 'key'])
    } else {
      const words = ['region', 'cache', 'quota', 'compression', 'key']
      reader.unexpected('region, cache, quota, compression or key', words)
    }
  }
  finish(draft, { spool })
}

function folderOf({ reader }: PipelineDraft): SpoolSettings {
  const path = reader.string('the folder of the spool, or s3')
  if (/^(?:s3|https?):\/\//.test(path.text)) {
    reader.fail('value', `"${path.text}" is not a folder`, path.span, `for a bucket write \`spool s3 "${path.text}"\``)
  }
  return { path: resolvePath(path.text, path.span.file), compression: false }
}

function bucketOf({ reader }: PipelineDraft): SpoolSettings {
  const url = reader.string('the URL of the bucket')
  const found = /^(?:(https?:\/\/)([^/?#]+)|s3:\/)\/([^/?#]+)((?:\/[^/?#]+)*)\/?$/.exec(url.text)
  const [, scheme, host = '', bucket = '', path = ''] = found ?? []
  if (host.includes('@')) {
    const instead = 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or the files their _FILE name'
    reader.fail('value', 'keys must not stand in this file', url.span, instead)
  }
  if (found === null || !bucketPattern.test(bucket) || !/^[\w./-]*$/.test(path)) {
    reader.fail('value', `"${url.text}" is not the URL of a bucket`, url.span, example)
  }
  return {
    compression: false,
    bucket: {
      url: url.text,
      ...(scheme === undefined ? {} : { endpoint: scheme + host }),
      bucket,
      prefix: path === '' ? '' : `${path.slice(1)}/`,
      cacheBytes: defaultCacheBytes,
    },
  }
}

const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/

function regionOf({ reader }: PipelineDraft): string {
  const region = reader.string('the region of the bucket')
  if (!/^[a-z0-9-]{1,64}$/i.test(region.text)) {
    reader.fail('value', `"${region.text}" is not the name of a region`, region.span, '"eu-central-1"')
  }
  return region.text
}

function cacheOf({ reader }: PipelineDraft, bucket: BucketSettings): BucketSettings {
  if (!reader.accept('folder')) return { ...bucket, cacheBytes: sizeOf(reader) }
  const path = reader.string("the folder of this host's cache")
  return { ...bucket, cachePath: resolvePath(path.text, path.span.file) }
}
