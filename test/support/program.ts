import { join } from 'node:path'

import { root } from './fixtures.ts'

/**
 * Arguments by which node runs a program of ours, by its path from the root without the ending: its source, or where SLUICE_TEST_BUILT=1 what
 * `npm run build` has made of it, which is what is shipped and starts with less than half the work.
 */
export function programArguments(path: 'services/main' | 'services/control/main'): readonly string[] {
  return process.env['SLUICE_TEST_BUILT'] === '1' ? [join(root, 'dist', `${path}.js`)] : sourceArguments(path)
}

/** Always its source: what is loaded into it is TypeScript, and threads of the built one could not load it. */
export function sourceArguments(path: 'services/main' | 'services/control/main'): readonly string[] {
  return ['--import', 'tsx', join(root, `${path}.ts`)]
}
