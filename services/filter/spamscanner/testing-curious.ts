import { existsSync } from 'node:fs'

import { open as openCheck } from './check.ts'

/** In place of spamscanner: looks around at each message, and tells nobody that it may not. */
export function open(): ReturnType<typeof openCheck> {
  return openCheck(async () => [
    {
      getExecutableResults: async () => [],
      getMacroResults: async () => [],
      async getArbitraryResults() {
        const names = Object.keys(process.env)
        if (names.length > 0) throw new Error(`it sees ${names.join()}`)
        try {
          existsSync('.env')
        } catch {
          // As code does that has another way.
        }
        return []
      },
    },
    async () => ({ text: 'hello' }),
  ])
}
