import { readFileSync } from 'node:fs'
import { hostname as systemHostname } from 'node:os'

import { isDomain } from '../mail/address.ts'

export interface HostnameSources {
  readonly mailname?: () => string
  readonly hosts?: () => string
  readonly system?: () => string
}

/**
 * The name of this host: /etc/mailname, else the system's name, completed from /etc/hosts when it has no domain. The id of a
 * container is no name: `localhost` is returned, and `why` says so.
 */
export function findHostname(sources: HostnameSources = {}): { readonly hostname: string; readonly why?: string } {
  const { mailname = fileOf('/etc/mailname'), hosts = fileOf('/etc/hosts'), system = systemHostname } = sources
  const stated = firstLine(mailname())
  if (isDomain(stated)) return { hostname: stated.toLowerCase() }
  const name = system().toLowerCase()
  if (isContainerId(name)) return { hostname: 'localhost', why: `"${name}" is the id of a container, not a host name` }
  if (!isDomain(name)) return { hostname: 'localhost', why: `"${name}" is not a host name` }
  if (name.includes('.')) return { hostname: name }
  return { hostname: fullNameIn(hosts(), name) ?? name }
}

function fullNameIn(hosts: string, name: string): string | undefined {
  for (const line of hosts.split('\n')) {
    const [, ...names] = line.replace(/#.*/, '').trim().toLowerCase().split(/\s+/)
    const full = names.includes(name) ? names.find((one) => one.startsWith(`${name}.`) && isDomain(one)) : undefined
    if (full !== undefined) return full
  }
  return undefined
}

function isContainerId(name: string): boolean {
  return /^(?:[0-9a-f]{12}|[0-9a-f]{64})$/.test(name) && /\d/.test(name)
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').trim()
}

function fileOf(path: string): () => string {
  return () => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return ''
    }
  }
}
