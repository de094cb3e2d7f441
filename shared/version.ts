import { readFile } from 'node:fs/promises'

/** The version in package.json, beside the source or a folder above what was built of it; `unknown` without that file. */
export async function sluiceVersion(): Promise<string> {
  for (const place of ['../package.json', '../../package.json']) {
    const text = await readFile(new URL(place, import.meta.url), 'utf8').catch(() => undefined)
    if (text === undefined) continue
    const { name, version } = JSON.parse(text) as { readonly name?: unknown; readonly version?: unknown }
    if (name === 'sluice' && typeof version === 'string') return version
  }
  return 'unknown'
}
