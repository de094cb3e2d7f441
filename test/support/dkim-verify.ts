import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { findPeer } from './peer.ts'
import { run } from './process.ts'
import { tempFolder } from './temp-folder.ts'

/**
 * What dkimpy (Debian's python3-dkim) says about each DKIM-Signature of a message, with keys from the given texts instead of
 * the DNS: `name -> TXT`.
 */
export async function verifyDkim(
  content: Buffer,
  keys: Readonly<Record<string, string>>,
): Promise<{ readonly valid: boolean; readonly detail: string }> {
  const finished = await run('/usr/bin/python3', ['-c', program, JSON.stringify(keys)], { input: content })
  return { valid: finished.code === 0, detail: `${finished.stdout}${finished.stderr}`.trim() }
}

/** What dkimpy says about the chain of ARC sets of a message (cv of RFC 8617 §4.4): `pass`, `fail` or `none`. */
export async function arcVerdict(content: Buffer, keys: Readonly<Record<string, string>>): Promise<string> {
  const finished = await run('/usr/bin/python3', ['-c', arcProgram, JSON.stringify(keys)], { input: content })
  return finished.stdout.trim() || finished.stderr
}

/**
 * What OpenDKIM says about each signature of a message, top to bottom, as its Authentication-Results have it: `pass rsa-sha256 test`.
 * Keys as above.
 */
export async function opendkimResults(
  content: Buffer,
  keys: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const folder = await tempFolder('opendkim')
  const at = (name: string): string => join(folder.path, name)
  try {
    await writeFile(
      at('keys'),
      Object.entries(keys)
        .map(([name, text]) => `${name} ${text}\n`)
        .join(''),
    )
    await writeFile(at('conf'), `Mode v\nSyslog no\nTestDNSData file:${at('keys')}\n`)
    await writeFile(at('mail'), content)
    const command = findPeer('opendkim') ?? 'opendkim'
    const { stdout, stderr } = await run(command, ['-x', at('conf'), '-t', at('mail'), '-vv'])
    const found = [...stdout.matchAll(/\bdkim=(\w+)[^;]*? header\.a=(\S+) header\.s=([^\s;]+)/g)]
    return found.length > 0
      ? found.map(([, result, algorithm, selector]) => `${result} ${algorithm} ${selector}`)
      : [stdout + stderr]
  } finally {
    await folder.remove()
  }
}

const arcProgram = `
import json, sys, dkim
keys = json.loads(sys.argv[1])
def txt(name, timeout=5):
    value = keys.get(name.decode('ascii').rstrip('.').lower())
    return value.encode('ascii') if value is not None else None
print(dkim.arc_verify(sys.stdin.buffer.read(), dnsfunc=txt)[0].decode('ascii'))
`

const program = `
import json, sys, dkim
keys = json.loads(sys.argv[1])
def txt(name, timeout=5):
    value = keys.get(name.decode('ascii').rstrip('.').lower())
    return value.encode('ascii') if value is not None else None
message = sys.stdin.buffer.read()
d = dkim.DKIM(message)
count = len([1 for name, _ in d.headers if name.lower() == b'dkim-signature'])
print('signatures:', count)
ok = count > 0
for i in range(count):
    try:
        good = dkim.DKIM(message).verify(idx=i, dnsfunc=txt)
    except dkim.DKIMException as e:
        print(e)
        good = False
    ok = ok and good
sys.exit(0 if ok else 1)
`
