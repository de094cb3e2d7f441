import forge from 'node-forge'

/**
 * A PKCS #10 request (RFC 2986) for these domains, in PEM. Made here since what acme-client makes them with is in its tree twice, in
 * versions that do not know each other.
 * @param keyPem of RSA
 */
export function certificateRequest(domains: readonly string[], keyPem: string): string {
  const privateKey = forge.pki.privateKeyFromPem(keyPem)
  const request = forge.pki.createCertificationRequest()
  request.publicKey = forge.pki.setRsaPublicKey(privateKey.n, privateKey.e)
  const altNames = domains.map((value) => ({ type: 2, value }))
  request.setAttributes([{ name: 'extensionRequest', extensions: [{ name: 'subjectAltName', altNames }] }])
  request.sign(privateKey, forge.md.sha256.create())
  return forge.pki.certificationRequestToPem(request)
}
