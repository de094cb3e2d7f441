import type { BannedPolicy, BannedSettings, Table } from '../../../shared/config/model.ts'
import type { TableSet } from '../../../shared/config/tables.ts'
import type { Envelope } from '../../../shared/mail/envelope.ts'
import { isFromStranger } from '../authentication/engine.ts'
import type { Demand } from '../../../shared/spam/weigh.ts'
import type { Engine, ScanMessage } from '../engine.ts'
import { hasTag } from '../../../shared/spam/spam-policy.ts'
import { compileBanned, defaultBanned } from './banned-files.ts'
import type { BannedFiles } from './banned-files.ts'
import { macroType } from './file-kind.ts'
import type { FoundFile } from './found-file.ts'
import { MessageLook } from './message-look.ts'
import { openLook } from './open-look.ts'
import { Search } from './search.ts'

/**
 * Looks at names and types of attached files, those in archives too, by the first policy for a tag of the message. Where none has one,
 * what our own users send is theirs to decide.
 */
export function createBannedEngine({ policies, limits }: BannedSettings, tables: TableSet): Engine {
  const compiled = new Map<BannedPolicy, { readonly entries: readonly string[]; readonly isBanned: BannedFiles }>()

  /** A table that has changed is compiled anew. @throws TableError */
  function bannedBy(policy: BannedPolicy): BannedFiles {
    const entries = entriesOf(policy.files, tables)
    const known = compiled.get(policy)
    if (known?.entries === entries) return known.isBanned
    const isBanned = compileBanned(entries)
    compiled.set(policy, { entries, isBanned })
    return isBanned
  }

  return {
    name: 'banned',
    applies: (envelope) => policyFor(policies, envelope) !== undefined,
    async scan(message, signal) {
      const startedAt = performance.now()
      const policy = policyFor(policies, message.envelope)
      const finding = policy && (await heaviest(message, { policy, isBanned: bannedBy(policy), limits }, signal))
      const tookMs = performance.now() - startedAt
      if (finding === undefined) return { status: 'ok', score: 0, symbols: [], tookMs }
      const { name, text, action } = finding
      const demand: Demand = { action, kind: 'banned', reason: `banned: ${text}` }
      return { status: 'ok', score: 0, symbols: [{ name, score: 0, text }], tookMs, demand }
    },
    close: async () => {},
  }
}

/** The first for one of its tags, or the one for strangers' mail; undefined: nobody looks. */
function policyFor(policies: readonly BannedPolicy[], envelope: Envelope): BannedPolicy | undefined {
  const tagged = policies.find(({ tag }) => tag !== undefined && hasTag(envelope, tag))
  const found = tagged ?? (isFromStranger(envelope) ? policies.find(({ tag }) => tag === undefined) : undefined)
  return found?.files === 'any' &&
    [found.macros, found.encrypted, found.unreadable].every((action) => action === 'pass')
    ? undefined
    : found
}

const none: readonly string[] = []

function entriesOf(files: Table | 'default' | 'any', tables: TableSet): readonly string[] {
  if (files === 'any') return none
  return files === 'default' ? defaultBanned : tables.entries(files)
}

interface Rules {
  readonly policy: BannedPolicy
  readonly isBanned: BannedFiles
  readonly limits: BannedSettings['limits']
}

/** What is demanded because of one file. */
interface Finding {
  readonly name: string
  readonly text: string
  readonly action: Demand['action']
}

/** From light to heavy. */
const weights: readonly Demand['action'][] = ['junk', 'quarantine', 'reject', 'discard']

function weigh(action: Demand['action'] | undefined): number {
  return action === undefined ? -1 : weights.indexOf(action)
}

/** Of all that the policy says something about; the search ends where nothing heavier can follow. */
async function heaviest(message: ScanMessage, rules: Rules, signal: AbortSignal): Promise<Finding | undefined> {
  const { found, macros, encrypted, unreadable } = rules.policy
  const most = Math.max(...[found, macros, encrypted, unreadable].map((action) => weigh(demanded(action))))
  let finding: Finding | undefined
  const tell = (file: FoundFile): void => {
    const next = judgeFile(file, rules)
    if (weigh(next?.action) > weigh(finding?.action)) finding = next
  }
  const search = new Search({ limits: rules.limits, tell, signal, openLook })
  const look = new MessageLook(search, { depth: 0 })
  const content = message.stream()
  try {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      signal.throwIfAborted()
      await look.write(chunk)
      if (weigh(finding?.action) === most) return finding
    }
    await look.end()
    return finding
  } finally {
    content.destroy()
    search.close()
  }
}

function judgeFile(file: FoundFile, { policy, isBanned }: Rules): Finding | undefined {
  const text = describe(file)
  if (file.kind === 'limit') {
    // Nobody knows what it is: it is not thrown away, nor refused for what it may be.
    const action = policy.found === 'tag' ? 'junk' : 'quarantine'
    return { name: 'BANNED_LIMIT', text, action }
  }
  if (isBanned(file)) return finding('BANNED', text, policy.found)
  if (file.kind === 'type') return file.text === macroType ? finding('BANNED_MACROS', text, policy.macros) : undefined
  if (file.kind === 'encrypted') return finding('BANNED_ENCRYPTED', text, policy.encrypted)
  return file.kind === 'unreadable' ? finding('BANNED_UNREADABLE', text, policy.unreadable) : undefined
}

function finding(name: string, text: string, written: BannedPolicy['macros']): Finding | undefined {
  const action = demanded(written)
  return action === undefined ? undefined : { name, text, action }
}

function demanded(action: BannedPolicy['macros']): Demand['action'] | undefined {
  if (action === 'pass') return undefined
  return action === 'tag' ? 'junk' : action
}

/** `bad.exe in doc.zip`, `type application/x-dosexec`, `encrypted: list.xls in doc.zip`. */
function describe({ kind, text, inside }: FoundFile): string {
  const shown = `${visible(text)}${inside === undefined ? '' : ` in ${visible(inside)}`}`
  if (kind === 'name') return shown
  return kind === 'type' ? `type ${shown}` : `${kind}: ${shown}`
}

function visible(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 100)
}
