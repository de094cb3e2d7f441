const names = new Set(['lo', 'lo0', 'localhost', '127.0.0.1', '::1', '[::1]'])

/** Only this host can connect to a listener there, or to a server of that name. */
export function isLoopback(on: string): boolean {
  return names.has(on) || /^127(?:\.\d{1,3}){3}$/.test(on)
}
