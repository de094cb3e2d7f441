import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { parseCommandLine } from './command-line.ts'
import { commands } from './commands.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const texts = ['README.md', 'docs/operations.md', 'docs/configuration.md', 'docs/architecture.md'].map(
  (path) => [path, readFileSync(join(root, path), 'utf8')] as const,
)

for (const [path, text] of texts) {
  test(`each command of sluicectl in ${path} is one`, () => {
    for (const [number, line] of text.split('\n').entries())
      for (const written of commandsIn(line))
        assert.equal(faultOf(written), undefined, `${path}:${number + 1}: ${written}`)
  })
}

/** A command that is only named may lack its operands. */
function faultOf(written: string): string | undefined {
  try {
    parseCommandLine(commands, wordsOf(written))
    return undefined
  } catch (error) {
    const { message } = error as Error
    return / is missing; |^what next/.test(message) ? undefined : message
  }
}

/** Up to what ends a command in a shell or a sentence, or begins its explanation. */
function commandsIn(line: string): readonly string[] {
  const found = line.matchAll(
    /(?:(?<!--entrypoint )\bsluicectl|\bnpm run ctl --|\brun --rm init) ((?:'[^']*'|[^`'|;&#<>()]| (?! ))*)/g,
  )
  return [...found].flatMap(([, text = '']) => {
    const [command = ''] = text.split(/ {2,}/)
    return /^[a-z]/.test(command) ? [command.trim().replace(/[.,:]+$/, '')] : []
  })
}

function wordsOf(command: string): readonly string[] {
  return [...command.replaceAll(/[[\]]/g, ' ').matchAll(/'([^']*)'|"([^"]*)"|\S+/g)].map(
    ([whole, one, two]) => one ?? two ?? whole,
  )
}
