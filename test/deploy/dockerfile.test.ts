import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { root } from '../support/fixtures.ts'

interface Instruction {
  readonly word: string
  /** What follows it, continued lines joined. */
  readonly rest: string
}

const files = readdirSync(join(root, 'deploy'), { recursive: true })
  .map((file) => join('deploy', String(file)))
  .filter((file) => /(?:^|\/)Dockerfile(?:\.\w+)?$/.test(file) && !file.endsWith('.dockerignore'))

for (const file of files) {
  const instructions = readInstructions(readFileSync(join(root, file), 'utf8'))
  const all = (word: string): readonly string[] =>
    instructions.filter((one) => one.word === word).map(({ rest }) => rest)
  const stages = all('FROM').flatMap((rest) => / AS (\w+)$/i.exec(rest)?.[1] ?? [])
  const last = instructions.slice(instructions.findLastIndex(({ word }) => word === 'FROM'))

  describe(file, () => {
    test('its base is a release of a distribution by name, never the latest', () => {
      for (const rest of all('FROM')) {
        const [image = ''] = rest.split(' ')
        assert.match(image, /:\S*(?:bookworm|trixie)/)
        assert.doesNotMatch(image, /latest/)
      }
    })

    test('it does not run as root', () => {
      assert.match(last.findLast(({ word }) => word === 'USER')?.rest ?? 'root', /^(?!root\b|0\b)\w+/)
    })

    test('nothing is fetched or unpacked but by tools that check what they get', () => {
      assert.deepEqual(all('ADD'), [])
      for (const rest of all('RUN'))
        assert.doesNotMatch(rest, /\b(?:curl|wget|git clone|npm install)\b|\|\s*(?:ba)?sh\b/)
    })

    test('packages leave no lists, no recommendations and no old index behind', () => {
      for (const rest of all('RUN').filter((text) => text.includes('apt-get install'))) {
        assert.match(rest, /apt-get update\s+&& .*apt-get install/)
        assert.match(rest, /--no-install-recommends/)
        assert.match(rest, /rm -rf \/var\/lib\/apt\/lists\/\*/)
      }
      for (const rest of all('RUN')) assert.doesNotMatch(rest, /apt(?:-get)? (?:dist-)?upgrade|\bapt install|\bsudo\b/)
    })

    test('no secret is in a layer, in the history or among the variables', () => {
      for (const rest of [...all('ENV'), ...all('ARG')])
        assert.doesNotMatch(rest, /PASS|SECRET|TOKEN|KEY|CREDENTIAL|npmrc/i)
      for (const rest of all('COPY')) assert.doesNotMatch(rest, /npmrc|\.env\b|\.git\b|\.pem|\.key|\bid_/)
      for (const rest of all('RUN')) assert.doesNotMatch(rest.replaceAll(/--mount=type=secret\S*/g, ''), /npmrc|_auth/)
    })

    test('what is copied is named, and comes from here or an earlier stage', () => {
      for (const rest of all('COPY')) {
        const from = /--from=(\S+)/.exec(rest)?.[1]
        assert.ok(from === undefined || stages.includes(from), rest)
        assert.doesNotMatch(rest.replace(/--\S+ /g, ''), /^\.?\/? /)
      }
    })

    test('signals reach what it runs, and paths do not depend on each other', () => {
      for (const rest of [...all('ENTRYPOINT'), ...all('CMD')]) assert.ok(Array.isArray(JSON.parse(rest)))
      assert.equal(last.filter(({ word }) => word === 'ENTRYPOINT').length, 1)
      for (const rest of all('WORKDIR')) assert.match(rest, /^\//)
      for (const rest of all('RUN')) assert.doesNotMatch(rest, /^cd /)
    })
  })
}

test('the image that runs has nothing that builds', () => {
  const text = readFileSync(join(root, 'deploy/Dockerfile'), 'utf8')
  const runs = text.slice(text.lastIndexOf('\nFROM'))
  assert.doesNotMatch(runs, /npm (?:ci|run)|apt-get|tsc/)
  assert.match(text, /npm prune --omit=dev/)
})

test('only what is named for it gets into the build', () => {
  const rules = readFileSync(join(root, 'deploy/Dockerfile.dockerignore'), 'utf8').trim().split('\n')
  assert.equal(rules[0], '*')
  for (const name of ['node_modules', '.git', '.env', 'var', 'test']) assert.ok(!rules.includes(`!${name}`), name)
})

function readInstructions(text: string): readonly Instruction[] {
  return text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, word = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? []
      return { word: word.toUpperCase(), rest }
    })
}
