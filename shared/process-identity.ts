import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Names the kernel's uptime and the process namespace, without a blank: process ids mean something among those of one such name. */
export function hostIdentity(): string {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim())
  const namespace = attempt(() => readlinkSync('/proc/self/ns/pid'))
  return [hostname(), boot, namespace].join('/')
}

/** Field 22 of /proc/<pid>/stat; the name in field 2 may hold blanks and brackets. */
export function startTicks(pid: number): string | undefined {
  const line = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  const fields = line?.slice(line.lastIndexOf(')') + 2).split(' ')
  return fields?.[0] === 'Z' ? undefined : fields?.[19]
}

function attempt(read: () => string): string | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
