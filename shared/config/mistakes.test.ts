import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { ConfigurationError, renderDiagnostics } from './diagnostic.ts'
import { loadConfiguration } from './load.ts'

/**
 * Typical mistakes and what is said about them, word for word, in test/fixtures/mistakes.txt. After a change of the messages
 * `UPDATE_GOLDEN=1 node --import tsx --test shared/config/mistakes.test.ts` writes them anew: read the difference as a newcomer.
 */
const golden = fileURLToPath(new URL('../../test/fixtures/mistakes.txt', import.meta.url))

interface Mistake {
  readonly name: string
  /** By name; in the golden file a carriage return is written as its picture. */
  readonly files: readonly (readonly [name: string, text: string])[]
  readonly says: string
}

test('typical mistakes are told with their place, the reason and the way out', async () => {
  const mistakes = readMistakes(readFileSync(golden, 'utf8'))
  assert.ok(mistakes.length >= 40)
  const told: Mistake[] = []
  for (const mistake of mistakes) told.push({ ...mistake, says: await messagesAbout(mistake) })
  if (process.env['UPDATE_GOLDEN'] !== undefined) writeFileSync(golden, told.map((one) => written(one)).join(''))
  else for (const [index, mistake] of mistakes.entries()) assert.equal(told[index]?.says, mistake.says, mistake.name)
})

async function messagesAbout({ name, files }: Mistake): Promise<string> {
  const texts = new Map(files.map(([file, text]) => [`/etc/mail/${file}`, text.replaceAll('\u{240D}', '\r')]))
  texts.set('/etc/mail/pipeline.conf', texts.get('/etc/mail/pipeline.conf') ?? '')
  const paths = { smtpdConf: '/etc/mail/smtpd.conf', pipelineConf: '/etc/mail/pipeline.conf' }
  try {
    const strict = name.endsWith('(strict)')
    const { warnings } = await loadConfiguration({ ...paths, texts, strict, hostname: 'mail.example.org' })
    return warnings.length === 0 ? 'nothing: it is meant so' : renderDiagnostics(warnings)
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return error.message
  }
}

function readMistakes(text: string): readonly Mistake[] {
  return text
    .split(/^=== /m)
    .slice(1)
    .map((section) => {
      const [heading = '', ...parts] = section.split(/^--- /m)
      const files = parts.map((part): [string, string] => {
        const end = part.indexOf('\n')
        return [part.slice(0, end), part.slice(end + 1)]
      })
      const says = files.pop()?.[1] ?? ''
      return { name: heading.trim(), files, says: says.trimEnd() }
    })
}

function written({ name, files, says }: Mistake): string {
  return `=== ${name}\n${files.map(([file, text]) => `--- ${file}\n${text}`).join('')}--- says\n${says}\n\n`
}
