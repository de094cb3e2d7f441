#!/usr/bin/env node
import { existsSync } from 'node:fs'

// A build has main.js beside this file; the source tree runs by tsx.
const built = new URL('main.js', import.meta.url)
if (existsSync(built)) {
  await (await import(built.href)).run()
} else {
  const { register } = await import('tsx/esm/api')
  register()
  await (await import(new URL('main.ts', import.meta.url).href)).run()
}
