import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { ConfigurationError } from './diagnostic.ts'
import type { Diagnostic } from './diagnostic.ts'
import { loadConfiguration } from './load.ts'

/** An example stands alone: what it names may lie elsewhere. */
const ofItsSurroundings: ReadonlySet<string> = new Set(['missing-file', 'unknown-name', 'incomplete'])
const ofSmtpdConf = /^(?:table|match|action|listen|pki|ca|srs|queue compression|queue encryption)\b/
/** Files of others: settings of a table, operators, a program, dovecot.conf; and commands. */
const ofOthers = /^(?:#!|# [a-z]+:[;\n]|# \/etc|service |ada |sluicectl |kill )/

for (const { line, text } of examplesOf(new URL('../../docs/configuration.md', import.meta.url))) {
  test(`the example at line ${line} of docs/configuration.md is understood`, async () => {
    assert.deepEqual(await faultsOf(text.split('\n')), [])
  })
}

interface Example {
  readonly line: number
  readonly text: string
}

/** Blocks in fences without a language, or indented behind an empty line, that belong into smtpd.conf or pipeline.conf. */
function examplesOf(file: URL): readonly Example[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  const examples: Example[] = []
  for (let at = 0; at < lines.length; at += 1) {
    const fence = /^```(?<language>.*)/.exec(lines[at] ?? '')
    const isIndented = lines[at - 1] === '' && isCode(lines[at])
    if (fence === null && !isIndented) continue
    const from = fence === null ? at : at + 1
    const isWithin = fence === null ? isCode : (line: string | undefined) => line !== undefined && line !== '```'
    for (at = from; isWithin(lines[at]);) at += 1
    const text = lines.slice(from, at).map((line) => (fence === null ? line.slice(4) : line))
    if ((fence?.groups?.['language'] ?? '') === '') examples.push({ line: from + 1, text: text.join('\n') })
  }
  return examples.filter(({ text }) => !ofOthers.test(text))
}

function isCode(line: string | undefined): boolean {
  return line?.startsWith('    ') === true
}

/** An example may show lines of both files, and several ways to say one thing. */
async function faultsOf(lines: readonly string[]): Promise<readonly string[]> {
  const policy = lines.filter((line) => ofSmtpdConf.test(line))
  const pipeline = lines.filter((line) => !ofSmtpdConf.test(line))
  const whole = await diagnosticsOf(policy, pipeline)
  const faults = whole.filter(({ code }) => !ofItsSurroundings.has(code) && code !== 'duplicate')
  return faults.map(({ code, span, message }) => `${span.file}:${span.line}: ${message} [${code}]`)
}

async function diagnosticsOf(policy: readonly string[], pipeline: readonly string[]): Promise<readonly Diagnostic[]> {
  const paths = { smtpdConf: '/smtpd.conf', pipelineConf: '/pipeline.conf' }
  const texts = new Map([
    [paths.smtpdConf, [...policy, 'match for any reject', ''].join('\n')],
    [paths.pipelineConf, [...pipeline, ''].join('\n')],
  ])
  try {
    await loadConfiguration({ ...paths, texts, hostname: 'mail.example.org' })
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return error.diagnostics.filter(({ severity }) => severity === 'error')
  }
}
