import { choiceOf, finish, mapping, placeOf } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { parseTables } from './table-grammar.ts'

/** The way in: who is known, who may log in, where names of smtpd.conf lie here. */
export const inboundStatements: Readonly<Record<string, ParseStatement>> = {
  relocated: parseRelocated,
  quota: parseQuota,
  interface: parseInterface,
  socket: parseSocket,
}

/** `relocated <table>`. */
function parseRelocated(draft: PipelineDraft): void {
  draft.reader.next()
  finish(draft, { relocated: parseTables(draft.policy, 'map', '"relocated"') })
}

/** `quota status "host:port" [timeout 5s] [on-failure proceed|tempfail]`. */
function parseQuota(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  reader.expect('status', 'behind "quota"')
  const place = placeOf(reader, 'a policy service')
  const timeoutMs = reader.accept('timeout') ? reader.duration('the time for an answer') : 5_000
  const onFailure = reader.accept('on-failure')
    ? choiceOf(reader, ['tempfail', 'proceed'] as const, 'what to do')
    : 'proceed'
  finish(draft, { quotaStatus: { place, timeoutMs, onFailure } })
}

/** `interface NAME is ADDRESS`. */
function parseInterface(draft: PipelineDraft): void {
  const [name, address] = mapping(draft.reader, 'an interface', 'an address')
  finish(draft, { interfaces: new Map([...draft.settings.interfaces, [name, address]]) })
}

/** `socket PATH is "host:port"`. */
function parseSocket(draft: PipelineDraft): void {
  const [path, address] = mapping(draft.reader, 'the path of a socket', 'host:port')
  finish(draft, { sockets: new Map([...draft.settings.sockets, [path, address]]) })
}
