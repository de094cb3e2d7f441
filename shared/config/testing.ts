import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

import { loadConfiguration } from './load.ts'
import type { LoadedConfiguration } from './load.ts'
import type { PipelineSettings } from './model.ts'

/** Lines of pipeline.conf, beside the smallest smtpd.conf there is. @throws ConfigurationError */
export type LoadPipeline = (...lines: readonly string[]) => Promise<PipelineSettings>

/** For the tests of one file: its folder goes when they are over. */
export function pipelineLoader(): LoadPipeline {
  const load = configurationLoader()
  return async (...lines) => (await load(...lines)).configuration.pipeline
}

/** The same with all that is known of the files. */
export function configurationLoader(): (...lines: readonly string[]) => Promise<LoadedConfiguration> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-pipeline-'))
  after(() => rmSync(folder, { recursive: true }))
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, 'listen on lo port 25\naction "out" relay\nmatch for any action "out"\n')
  return async (...lines) => {
    writeFileSync(paths.pipelineConf, lines.join('\n'))
    return loadConfiguration({ ...paths, hostname: 'mail.example.org' })
  }
}
