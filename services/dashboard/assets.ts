import { readFile } from 'node:fs/promises'

/** The files a page links to, read once at start. */
export interface Assets {
  readonly stylesheet: string
  readonly liveModule: string
}

export async function readAssets(): Promise<Assets> {
  const folder = new URL('assets/', import.meta.url)
  const [stylesheet, liveModule] = await Promise.all([
    readFile(new URL('sluice.css', folder), 'utf8'),
    readFile(new URL('live.js', folder), 'utf8'),
  ])
  return { stylesheet, liveModule }
}
