import assert from 'node:assert/strict'
import { test } from 'node:test'

import { commands } from './control/commands.ts'
import { openTestApp, routesOf } from './dashboard/testing.ts'

/** What does the same: a command with the options it takes, and a route of the API. */
interface SameAs {
  /** Of sluicectl: its words, then the options that make it this. */
  readonly command: string
  /** Of `/api/v1/`. */
  readonly api: string
}

const foreground = 'it runs in the foreground, and ends by Ctrl-C'
const ofBrowser = 'it is about the browser'

/** Each thing that a form of the dashboard does. A new button has its command, and its row. */
const actions: Readonly<Record<string, SameAs | { readonly none: string }>> = {
  '/sign-in': { none: ofBrowser },
  '/sign-out': { none: ofBrowser },
  '/quarantine/:link': { none: 'it is for readers of mail, by the link in their digest' },

  '/queues/:name/pause': { command: 'pause', api: 'queues/{name}/pause' },
  '/queues/:name/resume': { command: 'resume', api: 'queues/{name}/resume' },
  '/queues/:name/schedule': { command: 'schedule --queue', api: 'queues/{name}/schedule' },
  '/queues/:name/limit': { command: 'limit', api: 'queues/{name}/limit' },

  '/messages/:id/schedule': { command: 'schedule', api: 'messages/{id}/schedule' },
  '/messages/:id/hold': { command: 'hold --recipient', api: 'messages/{id}/hold' },
  '/messages/:id/release': { command: 'release --recipient', api: 'messages/{id}/release' },
  '/messages/:id/release-ham': { command: 'release --learn-ham', api: 'messages/{id}/release-ham' },
  '/messages/:id/block': { command: 'block add', api: 'messages/{id}/block' },
  '/messages/:id/remove': { command: 'remove --recipient', api: 'messages/{id}/remove' },
  '/messages/:id/expire': { command: 'expire --recipient', api: 'messages/{id}/expire' },
  '/messages/:id/reroute': { command: 'reroute --to --action --undo', api: 'messages/{id}/reroute' },
  '/messages/:id/readdress': { command: 'readdress', api: 'messages/{id}/readdress' },
  '/messages/:id/replay': { command: 'replay --from --to --again --dry-run', api: 'messages/{id}/replay' },

  '/held/release': { command: 'release', api: 'messages/{id}/release' },
  '/held/release-ham': { command: 'release --learn-ham', api: 'messages/{id}/release-ham' },
  '/held/block': { command: 'block add', api: 'messages/{id}/block' },
  '/held/remove': { command: 'remove', api: 'messages/{id}/remove' },

  '/messages/actions': { command: 'remove --search --dry-run', api: 'messages/actions' },
  '/messages/runs/:run/cancel': { command: 'bulk cancel', api: 'runs/{run}/cancel' },
  '/messages/runs/:run/resume': { command: 'bulk resume', api: 'runs/{run}/resume' },
  '/messages/searches/save': { command: 'find --save', api: 'searches' },
  '/messages/searches/rename': { command: 'find --save --forget', api: 'searches/rename' },
  '/messages/searches/delete': { command: 'find --forget', api: 'searches/delete' },

  ...ofMany('destinations', '--destination'),
  ...ofMany('tags', '--tag'),

  '/domains/:name/check': { command: 'doctor', api: 'domains/{name}/check' },
  '/domains/:name/generate': { command: 'dkim generate', api: 'domains/{name}/generate' },
  '/domains/:name/rotate': { command: 'dkim rotate', api: 'domains/{name}/rotate' },
  '/domains/:name/retire': { command: 'dkim retire', api: 'domains/{name}/retire' },

  '/rules/dry-run': { command: 'dry-run', api: 'dry-run' },
  '/rules/dry-run/cancel': { none: foreground },
  '/webhooks/:name/test': { command: 'webhook test', api: 'webhooks/{name}/test' },
}

function ofMany(place: string, option: string): Readonly<Record<string, SameAs>> {
  const names = ['schedule', 'hold', 'release', 'expire', 'remove', 'reroute']
  return Object.fromEntries(
    names.map((name) => [
      `/${place}/:name/${name}`,
      { command: `${name} ${option}`, api: `${place}/{name}/${name}` } satisfies SameAs,
    ]),
  )
}

test('all that the dashboard does, sluicectl and the API do, too', async (t) => {
  const { app } = await openTestApp(t)
  await app.ready()
  const posts = routesOf(app).flatMap((route) => /^POST (?!\/api\/)(.*)/.exec(route)?.[1] ?? [])
  assert.deepEqual(posts.toSorted(), Object.keys(actions).toSorted())

  const document = await app.inject({ url: '/api/v1/openapi.json', headers: { host: 'localhost' } })
  const { paths } = document.json<{ paths: Readonly<Record<string, Readonly<Record<string, unknown>>>> }>()
  for (const [path, same] of Object.entries(actions)) {
    if ('none' in same) continue
    const missing = missingIn(same.command)
    assert.equal(missing, undefined, `${path}: sluicectl has no '${missing}'`)
    assert.ok(paths[`/api/v1/${same.api}`]?.['post'] !== undefined, `${path}: the API has no POST ${same.api}`)
  }
})

/** The first of its words that sluicectl does not know. */
function missingIn(line: string): string | undefined {
  const [words = '', ...options] = line.split(/ (?=--)/)
  const command = commands.find((one) => one.words.join(' ') === words)
  if (command === undefined) return words
  return options.find((option) => command.options?.some(({ name }) => `--${name}` === option.trim()) !== true)
}
