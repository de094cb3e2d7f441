import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { parse, stringify } from 'yaml'

import { root } from './fixtures.ts'
import { freePort } from './free-port.ts'
import { findPeer } from './peer.ts'
import { type Finished, run, startProcess, waitForPort } from './process.ts'
import { tempFolder } from './temp-folder.ts'

/** A series of an answer, and its value now. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A real Prometheus that scrapes every 3 s. */
export interface Prometheus {
  /** An instant query. @throws Error with what the server says of the expression */
  query(expression: string): Promise<readonly Sample[]>
  /** Asks until a series is as it should be. @throws Error after two minutes, with the last answer */
  waitFor(expression: string, matches?: (sample: Sample) => boolean): Promise<readonly Sample[]>
  stop(): Promise<void>
}

interface Configuration {
  readonly global: object
  readonly scrape_configs: readonly { readonly static_configs: readonly { readonly targets: readonly string[] }[] }[]
}

const alerts = join(root, 'deploy/prometheus/alerts.yml')

/** Starts one with our configuration, but for where we are and how often it asks. @param target `127.0.0.1:9100` */
export async function startPrometheus(target: string): Promise<Prometheus> {
  const folder = await tempFolder('prom')
  const file = join(folder.path, 'prometheus.yml')
  const shipped = parse(readFileSync(join(root, 'deploy/prometheus/prometheus.yml'), 'utf8')) as Configuration
  await writeFile(file, stringify(configurationFor(shipped, target)))
  const port = await freePort()
  const server = startProcess(
    findPeer('prometheus') ?? 'prometheus',
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder.path, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { name: 'prometheus' },
  )
  await waitForPort({ port }, server)
  const query = (expression: string): Promise<readonly Sample[]> => ask(`http://127.0.0.1:${port}`, expression)
  return {
    query,
    async waitFor(expression, matches = () => true) {
      const giveUpAt = Date.now() + 120_000
      for (;;) {
        const found = await query(expression)
        if (found.some(matches)) return found
        if (Date.now() > giveUpAt) throw new Error(`${expression} is ${JSON.stringify(found)}`)
        await pause(500)
      }
    },
    async stop() {
      await server.stop()
      await folder.remove()
    },
  }
}

/** Runs promtool to its end. */
export function promtool(args: readonly string[], input?: string): Promise<Finished> {
  return run(findPeer('promtool') ?? 'promtool', args, input === undefined ? {} : { input })
}

function configurationFor(shipped: Configuration, target: string): Configuration & { readonly rule_files: unknown } {
  return {
    ...shipped,
    global: { ...shipped.global, scrape_interval: '3s', evaluation_interval: '3s' },
    rule_files: [alerts],
    scrape_configs: shipped.scrape_configs.map((job) => ({ ...job, static_configs: [{ targets: [target] }] })),
  }
}

interface Answer {
  readonly status: 'success' | 'error'
  readonly error?: string
  readonly data?: {
    readonly resultType: string
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>
      readonly value: readonly [number, string]
    }[]
  }
}

async function ask(url: string, expression: string): Promise<readonly Sample[]> {
  const response = await fetch(`${url}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query: expression }),
  })
  // A server that has just begun to listen says so in plain text.
  if (response.status === 503) return []
  const { status, error, data } = (await response.json()) as Answer
  if (status !== 'success' || data?.resultType !== 'vector') throw new Error(`${expression}: ${error ?? 'no vector'}`)
  return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
}
