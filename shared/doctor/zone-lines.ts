/** Lines of a zone file that make the world send a domain's mail here, and believe what comes from here. */

export function mxLine(domain: string, hostname: string): string {
  return `${domain}. IN MX 10 ${hostname}.`
}

/** RFC 7208: its mail comes from its MX and from this host, and from nowhere else. */
export function spfLine(domain: string, hostname: string): string {
  return `${domain}. IN TXT "v=spf1 mx a:${hostname} -all"`
}

/** RFC 7489 */
export function dmarcLine(domain: string): string {
  return `_dmarc.${domain}. IN TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@${domain}"`
}

/** RFC 8460: failures of TLS on the way to us are told to postmaster. */
export function tlsReportLine(domain: string): string {
  return `_smtp._tls.${domain}. IN TXT "v=TLSRPTv1; rua=mailto:postmaster@${domain}"`
}

/** Not of a zone of ours: whoever gave us the address has it. */
export function reverseLine(address: string, hostname: string): string {
  return `PTR of ${address}, at whoever gave you the address: ${hostname}.`
}
