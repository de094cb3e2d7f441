/* A table program for tests. Argument: a file of `key value` lines; the value `#word` makes it misbehave when the key is asked for. */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [, , file = '/dev/null', mode = 'sound'] = process.argv
let entries = new Map<string, string>()
let turn = 0

function read(): void {
  const lines = readFileSync(file, 'utf8').split('\n')
  entries = new Map(
    lines.filter((line) => line !== '').map((line) => [line.split(' ')[0] ?? '', line.replace(/^\S+ ?/, '')]),
  )
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function answer(ask: string, id: string, key: string): void {
  const value = entries.get(key)
  if (value === '#hang') return
  if (value === '#crash') process.exit(3)
  if (value === '#garbage') return say('hello there')
  if (value === '#error') return say(`${ask}-result|${id}|error|database is locked`)
  if (value === '#slow') return void setTimeout(() => say(`${ask}-result|${id}|found|late`), 50)
  if (value === undefined) return say(`${ask}-result|${id}|not-found`)
  say(`${ask}-result|${id}|found${ask === 'check' ? '' : `|${value}`}`)
}

function greeted(): void {
  for (const service of ['alias', 'domain', 'source']) say(`register|${service}`)
  say('register|ready')
}

read()
for await (const line of createInterface({ input: process.stdin })) {
  const [word, , , , ask = '', service = '', id = '', ...key] = line.split('|')
  if (line === 'config|ready') {
    if (mode === 'slow') setTimeout(greeted, 100)
    else if (mode !== 'mute') greeted()
  } else if (word === 'table' && ask === 'update') {
    read()
    say(`update-result|${service}|ok`)
  } else if (ask === 'fetch') {
    const keys = [...entries.keys()]
    say(`lookup-result|${id}|found|${keys[turn % keys.length] ?? ''}`)
    turn += 1
  } else if (word === 'table') answer(ask, id, key.join('|'))
}
