/** What our tests use of s3rver, an S3 server for tests that comes without types. */
declare module 's3rver' {
  import type { Server } from 'node:http'

  export default class S3rver {
    constructor(options: {
      readonly port: number
      readonly address: string
      readonly silent: boolean
      readonly directory: string
    })
    httpServer: Server
    /** The keeper of objects, and the same as requests see it. */
    store: unknown
    readonly context: { store: unknown }
    run(): Promise<{ readonly port: number }>
    close(): Promise<void>
  }
}
