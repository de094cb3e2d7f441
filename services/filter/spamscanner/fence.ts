import { createRequire, syncBuiltinESMExports } from 'node:module'

/** Keeps the code of a thread from the world outside. Built before that code is loaded, and open until then. */
export interface Fence {
  /** From now on whatever is listed below throws; for good. */
  close(): void
  /** What was tried since it was closed, or since it was asked last: `net.connect`, the first of them. */
  takeAttempts(): readonly string[]
}

type Holder = Record<string, unknown>

/** All functions of these modules. */
const modules = 'fs fs/promises net tls http https http2 dgram dns dns/promises child_process cluster inspector'.split(
  ' ',
)
/** What can be reached through an object that was made before; without names all it can do. */
const prototypes: readonly (readonly [module: string, type: string, names?: readonly string[]])[] = [
  ['net', 'Socket', ['connect']],
  ['net', 'Server', ['listen']],
  ['dgram', 'Socket', ['bind', 'connect', 'send']],
  ['dns', 'Resolver'],
  ['dns/promises', 'Resolver'],
  ['child_process', 'ChildProcess', ['spawn']],
]
const mostAttempts = 20

/**
 * Puts gates before all ways to the network, to files and to processes. Who took such a function before the gate was closed took the
 * gate: to be called before the code is loaded that shall be kept in.
 */
export function buildFence(): Fence {
  const require = createRequire(import.meta.url)
  const attempts: string[] = []
  let isClosed = false

  function pass(name: string): void {
    if (!isClosed) return
    if (attempts.length < mostAttempts) attempts.push(name)
    throw new Error(`${name} is not for code behind the fence`)
  }

  function gate(holder: Holder, key: string, name: string): void {
    const descriptor = Object.getOwnPropertyDescriptor(holder, key)
    const original: unknown = descriptor?.value
    if (descriptor === undefined || typeof original !== 'function') return
    const value = new Proxy(original, {
      apply(target, self, args) {
        pass(name)
        return Reflect.apply(target, self, args) as unknown
      },
      construct(target, args, made) {
        pass(name)
        return Reflect.construct(target, args, made) as object
      },
    })
    Object.defineProperty(holder, key, { ...descriptor, value })
  }

  for (const name of modules) {
    const holder = require(`node:${name}`) as Holder
    for (const key of Object.keys(holder)) gate(holder, key, `${name}.${key}`)
  }
  for (const [name, type, methods] of prototypes) {
    const { prototype } = (require(`node:${name}`) as Record<string, { readonly prototype: Holder }>)[type] ?? {}
    if (prototype === undefined) continue
    for (const key of methods ?? Object.keys(prototype)) gate(prototype, key, `${name}.${type}.${key}`)
  }
  gate(require('node:v8') as Holder, 'writeHeapSnapshot', 'v8.writeHeapSnapshot')
  gate(process.report as unknown as Holder, 'writeReport', 'process.report.writeReport')
  gate(require('node:worker_threads') as Holder, 'Worker', 'worker_threads.Worker')
  gate(globalThis, 'fetch', 'fetch')
  for (const key of ['binding', 'dlopen', 'chdir', 'kill']) gate(process as unknown as Holder, key, `process.${key}`)
  syncBuiltinESMExports()
  return {
    takeAttempts: () => attempts.splice(0),
    close() {
      isClosed = true
    },
  }
}
