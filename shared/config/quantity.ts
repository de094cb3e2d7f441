const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }
const maximumSeconds = 2 ** 31 - 1
const powers: Readonly<Record<string, number>> = { b: 0, k: 1, m: 2, g: 3, t: 4, p: 5, e: 6 }

/** `4d`, `30s`: digits and one of s, m, h, d, at least one of it; in milliseconds. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+)([smhd])$/.exec(text)
  const seconds = Number(match?.[1]) * (secondsOf[match?.[2] ?? ''] ?? Number.NaN)
  return seconds >= 1 && seconds <= maximumSeconds ? seconds * 1000 : undefined
}

/** `35M`, `1.5g`, `1000`: octets, powers of 1024 in either case; `35MB` is nothing, what no disk holds is the largest number there is. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([bkmgtpe]?)$/i.exec(text)
  if (match === null || (match[2] === '' && match[1]?.includes('.') === true)) return undefined
  const octets = Math.floor(Number(match[1]) * 1024 ** (powers[(match[2] ?? '').toLowerCase()] ?? 0))
  return octets < 2 ** 63 ? Math.min(octets, Number.MAX_SAFE_INTEGER) : undefined
}

/** Names of /etc/services that mail meets; most images have no such file. */
const services: Readonly<Record<string, number>> = {
  smtp: 25,
  mail: 25,
  smtps: 465,
  submissions: 465,
  ssmtp: 465,
  urd: 465,
  submission: 587,
  lmtp: 24,
  domain: 53,
  http: 80,
  pop3: 110,
  nntp: 119,
  imap2: 143,
  imap: 143,
  https: 443,
  imaps: 993,
  pop3s: 995,
  sieve: 4190,
}

export function portOfService(name: string): number | undefined {
  return Object.hasOwn(services, name) ? services[name] : undefined
}
