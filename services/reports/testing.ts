import { gzipSync } from 'node:zlib'

/** Reports as they come by mail, written for our tests. */
export interface RowChoices {
  readonly ip?: string
  readonly count?: string
  readonly disposition?: string
  readonly dkim?: string
  readonly spf?: string
  readonly headerFrom?: string
  /** More in policy_evaluated, and in auth_results. */
  readonly evaluated?: string
  readonly results?: string
}

export function dmarcRow(choices: RowChoices = {}): string {
  const { ip = '192.0.2.1', count = '12', disposition = 'none', dkim = 'pass', spf = 'pass' } = choices
  const { headerFrom = 'example.org', evaluated = '', results = '' } = choices
  return `<record><row><source_ip>${ip}</source_ip><count>${count}</count>
    <policy_evaluated><disposition>${disposition}</disposition><dkim>${dkim}</dkim><spf>${spf}</spf>${evaluated}</policy_evaluated></row>
    <identifiers><header_from>${headerFrom}</header_from></identifiers>
    <auth_results>${results}</auth_results></record>`
}

export interface ReportChoices {
  readonly org?: string
  readonly reportId?: string
  readonly domain?: string
  readonly begin?: string
  readonly end?: string
  readonly metadata?: string
  readonly policy?: string
  readonly rows?: readonly string[]
}

export function dmarcXml(choices: ReportChoices = {}): string {
  const { org = 'Receiver Inc.', reportId = '4711', domain = 'example.org', metadata = '', policy = '' } = choices
  const { begin = '1795132800', end = '1795219199', rows = [dmarcRow()] } = choices
  return `<?xml version="1.0" encoding="UTF-8" ?>
<feedback>
  <report_metadata><org_name>${org}</org_name><email>dmarc@receiver.test</email>${metadata}
    <report_id>${reportId}</report_id><date_range><begin>${begin}</begin><end>${end}</end></date_range></report_metadata>
  <policy_published><domain>${domain}</domain><adkim>r</adkim><aspf>r</aspf><p>quarantine</p><sp>none</sp><pct>100</pct>${policy}</policy_published>
  ${rows.join('\n')}
</feedback>
`
}

export function tlsJson(fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    'organization-name': 'Receiver Inc.',
    'date-range': { 'start-datetime': '2026-11-20T00:00:00Z', 'end-datetime': '2026-11-20T23:59:59Z' },
    'contact-info': 'tls@receiver.test',
    'report-id': '2026-11-20T00:00:00Z_example.org',
    policies: [
      {
        policy: {
          'policy-type': 'sts',
          'policy-string': ['version: STSv1', 'mode: testing'],
          'policy-domain': 'example.org',
          'mx-host': ['mx.example.org'],
        },
        summary: { 'total-successful-session-count': 5326, 'total-failure-session-count': 3 },
        'failure-details': [
          {
            'result-type': 'certificate-expired',
            'sending-mta-ip': '2001:db8::1',
            'receiving-mx-hostname': 'mx.example.org',
            'failed-session-count': 3,
            'failure-reason-code': 'certificate has expired',
          },
        ],
      },
    ],
    ...fields,
  })
}

export interface Attachment {
  readonly type: string
  readonly name?: string
  readonly octets: Buffer
}

/** A mail with a letter and attachments in base64, as reporters send them. */
export function reportMail(attachments: readonly Attachment[], from = 'noreply-dmarc@receiver.test'): Buffer {
  const parts = attachments.map(
    ({ type, name, octets }) => `--b\r
Content-Type: ${type}${name === undefined ? '' : `; name="${name}"`}\r
Content-Transfer-Encoding: base64\r
${name === undefined ? '' : `Content-Disposition: attachment; filename="${name}"\r\n`}\r
${(octets.toString('base64').match(/.{1,76}/g) ?? []).join('\r\n')}\r
`,
  )
  return Buffer.from(`From: Reports <${from}>\r
To: dmarc@example.org\r
Subject: Report domain: example.org Submitter: receiver.test Report-ID: 4711\r
Message-ID: <4711@receiver.test>\r
Date: Sat, 21 Nov 2026 10:00:00 +0000\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
This is a report.\r
${parts.join('')}--b--\r
`)
}

export function gzipped(text: string, name = 'receiver.test!example.org!1795132800!1795219199.xml.gz'): Attachment {
  return { type: 'application/gzip', name, octets: gzipSync(text) }
}

/** A complaint (RFC 5965), or a report of failed authentication (RFC 6591), with the message it is about. */
export function feedbackMail(fields: readonly string[]): Buffer {
  return Buffer.from(`From: complaints@receiver.test\r
To: abuse@example.org\r
Subject: complaint\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=feedback-report; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
A complaint.\r
--b\r
Content-Type: message/feedback-report\r
\r
${fields.map((field) => `${field}\r\n`).join('')}\r
--b\r
Content-Type: message/rfc822\r
\r
From: shop@example.org\r
Subject: secret offer\r
\r
Buy now.\r
--b--\r
`)
}
