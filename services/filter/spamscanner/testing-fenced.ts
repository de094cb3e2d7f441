import { exec, execFileSync, fork, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { lookup, promises as dnsPromises, Resolver } from 'node:dns'
import * as fs from 'node:fs'
import { readFile } from 'node:fs/promises'
import { get } from 'node:http'
import { get as getSecurely } from 'node:https'
import { createRequire } from 'node:module'
import { Socket, connect, createServer } from 'node:net'
import { connect as connectSecurely } from 'node:tls'
import { writeHeapSnapshot } from 'node:v8'
import { Worker } from 'node:worker_threads'

import { buildFence } from './fence.ts'

export interface Tried {
  readonly refused: readonly string[]
  /** What got through the fence. */
  readonly done: readonly string[]
  readonly attempts: readonly string[]
  readonly environment: readonly string[]
}

/** A thread that tries to get out in every way we know, with functions it took before the fence was closed. */
export async function open(): Promise<(file: string) => Promise<Tried>> {
  const fence = buildFence()
  const require = createRequire(import.meta.url)
  const { readFileSync: taken, createReadStream } = require('node:fs') as typeof fs
  const [socket, resolver] = [new Socket(), new Resolver()]
  const ways: Readonly<Record<string, (file: string) => unknown>> = {
    'file, named import': (file) => fs.readFileSync(file),
    'file, taken before': (file) => taken(file),
    'file, stream': (file) => createReadStream(file),
    'file, promise': (file) => readFile(file),
    'file, open': (file) => fs.openSync(file, 'r'),
    'file, exists': (file) => fs.existsSync(file),
    'file, write': (file) => fs.writeFileSync(file, ''),
    'file, snapshot of the heap': (file) => writeHeapSnapshot(file),
    'file, report of the process': (file) => process.report.writeReport(file),
    'module, loaded late': () => require('smtp-server') as unknown,
    socket: () => connect(1, '127.0.0.1'),
    'socket, made before': () => socket.connect(1, '127.0.0.1'),
    server: () => createServer().listen(0),
    tls: () => connectSecurely(1, '127.0.0.1'),
    datagram: () => createSocket('udp4'),
    http: () => get('http://127.0.0.1:1/'),
    https: () => getSecurely('https://127.0.0.1:1/'),
    fetch: () => fetch('http://127.0.0.1:1/'),
    lookup: () => lookup('localhost', () => {}),
    'lookup, promise': () => dnsPromises.lookup('localhost'),
    'resolver, made before': () => resolver.resolve4('localhost', () => {}),
    'resolver, made before, another record': () => resolver.resolveNs('localhost', () => {}),
    spawn: () => spawn('true'),
    exec: () => exec('true'),
    execFileSync: () => execFileSync('true'),
    fork: () => fork('true'),
    thread: () => new Worker('', { eval: true }),
  }
  fence.close()
  return async (file) => {
    const refused: string[] = []
    const done: string[] = []
    for (const [name, way] of Object.entries(ways)) {
      try {
        await way(file)
        done.push(name)
      } catch (error) {
        if (/behind the fence/.test(String(error))) refused.push(name)
        else done.push(`${name}: ${String(error)}`)
      }
    }
    return { refused, done, attempts: fence.takeAttempts(), environment: Object.keys(process.env) }
  }
}
