/** Where mail goes next: the domain itself, or the host of a relay URL (`smtps://label@mx.example.org:465`); lower case, without a port. */
export function nextHost(destination: string): string {
  const host = /^[^/]*:\/\/(?:[^@/]*@)?(\[[^\]]*\]|[^:/]*)/.exec(destination)?.[1]
  return (host ?? destination).toLowerCase()
}
