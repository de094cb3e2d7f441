import { parseNetwork } from './network.ts'
import { serverOf, sameServer } from './externals.ts'
import { choiceOf, finish } from './pipeline-draft.ts'
import type { ParseStatement, PipelineDraft } from './pipeline-draft.ts'
import { positionOf } from './token-reader.ts'

/** Who stands between this host and its clients: content filters that are programs of their own, balancers. */
export const doorStatements: Readonly<Record<string, ParseStatement>> = {
  external: parseExternal,
  trusted: parseTrusted,
}

/** `external URL is "host:port"`: the content filter at that relay URL of smtpd.conf is a real one, and there. */
function parseExternal(draft: PipelineDraft): void {
  const { reader } = draft
  const start = reader.next()
  const url = reader.string('a relay URL of smtpd.conf')
  const server = serverOf(url.text)
  const example = 'external "smtp://localhost:10024" is "amavis:10024"'
  if (server === undefined) {
    return reader.fail('value', `"${url.text}" is not the URL of a server`, url.span, example)
  }
  const known = draft.settings.externals.some((one) => {
    const other = serverOf(one.url)
    return other !== undefined && sameServer(other, server)
  })
  if (known) reader.fail('duplicate', `${url.text} is external already`, url.span, 'keep one of the two')
  reader.expect('is', 'behind the URL')
  const place = reader.string('"host:port"')
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(place.text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    return reader.fail('value', `"${place.text}" is not host:port`, place.span, example)
  }
  const external = { url: url.text, host, port: Number(port), at: positionOf(start) }
  finish(draft, { externals: [...draft.settings.externals, external] })
}

/** `trusted proxy NETWORK ...`, `trusted client NETWORK ...`, `trusted filter NETWORK ...`; statements add up. */
function parseTrusted(draft: PipelineDraft): void {
  const { reader } = draft
  reader.next()
  const who = choiceOf(reader, ['proxy', 'client', 'filter'] as const, 'who is trusted')
  const networks: string[] = []
  do {
    const network = reader.string('a network')
    if (!/[.:]/.test(network.text) || parseNetwork(network.text) === undefined) {
      reader.fail(
        'value',
        `"${network.text}" is not a network`,
        network.span,
        '10.77.0.0/24, 10.77.0.5 or "[fd00::/8]"',
      )
    }
    networks.push(network.text)
    reader.accept(',')
  } while (!reader.atEnd())
  const { trustedProxies, extensions } = draft.settings
  const also = (before: readonly string[] = []): readonly string[] => [...new Set([...before, ...networks])]
  switch (who) {
    case 'proxy':
      return finish(draft, { trustedProxies: also(trustedProxies) })
    case 'client':
      return finish(draft, { extensions: { ...extensions, trustedClients: also(extensions.trustedClients) } })
    case 'filter':
      return finish(draft, { extensions: { ...extensions, trustedFilters: also(extensions.trustedFilters) } })
  }
}
