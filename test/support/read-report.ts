import { run } from './process.ts'

/** Fields of a group by name in lower case, unfolded. */
export type ReportFields = Readonly<Record<string, string>>

/** A delivery report as another implementation reads it. */
export interface ReadReport {
  readonly header: ReportFields
  /** `multipart/report`, and its `report-type`. */
  readonly type: string
  readonly reportType: string
  /** Content types of the parts, in order. */
  readonly parts: readonly string[]
  /** What the parser found wrong, in the message or any part. */
  readonly defects: readonly string[]
  /** The words for people. */
  readonly text: string
  readonly perMessage: ReportFields
  readonly perRecipient: readonly ReportFields[]
  readonly original: { readonly type: string; readonly header: ReportFields; readonly body: string }
}

/** Python's email package takes a report apart; dates are parsed by it too, and one that is none is a defect. */
export async function readReport(content: Buffer): Promise<ReadReport> {
  const finished = await run('/usr/bin/python3', ['-c', program], { input: content })
  if (finished.code !== 0) throw new Error(`python3: ${finished.stderr}`)
  return JSON.parse(finished.stdout) as ReadReport
}

const program = `
import email, email.policy, email.utils, json, sys
octets = sys.stdin.buffer.read()
international = b'report-type=global-delivery-status' in octets
policy = email.policy.SMTPUTF8 if international else email.policy.SMTP
# Of octets beyond ASCII it makes a defect; text with them is read as it is.
message = email.message_from_string(octets.decode(), policy=policy) if international else email.message_from_bytes(octets, policy=policy)
defects = []
def look(part):
    defects.extend(repr(one) for one in part.defects)
    for name, value in part.items():
        defects.extend(name + ': ' + repr(one) for one in getattr(value, 'defects', []) if not (international and 'NonASCIILocalPart' in repr(one)))
        if name.lower() in dates and email.utils.parsedate_to_datetime(value).tzinfo is None:
            defects.append(name + ': no time zone')
dates = ['date', 'arrival-date', 'last-attempt-date', 'will-retry-until']
for part in message.walk():
    look(part)
def fields(part):
    return { name.lower(): ' '.join(str(value).split()) for name, value in part.items() }
human, status, original = message.get_payload()
def blocks(part):
    if part.get_content_type() == 'message/delivery-status':
        return part.get_payload()
    # The parser knows message/global-delivery-status as a message: its first group is the header, the others its body.
    inner = part.get_payload(0)
    rest = [email.message_from_string(group, policy=policy) for group in inner.get_payload().replace('\\r\\n', '\\n').split('\\n\\n') if group.strip()]
    return [inner] + rest
groups = [group for group in blocks(status) if len(group.keys()) > 0]
for group in groups:
    look(group)
returned = original.get_payload(0) if original.is_multipart() else email.message_from_bytes(original.get_payload(decode=True), policy=policy)
print(json.dumps({
    'header': fields(message),
    'type': message.get_content_type(),
    'reportType': message.get_param('report-type'),
    'parts': [part.get_content_type() for part in message.get_payload()],
    'defects': defects,
    'text': human.get_content(),
    'perMessage': fields(groups[0]),
    'perRecipient': [fields(group) for group in groups[1:]],
    'original': { 'type': original.get_content_type(), 'header': fields(returned), 'body': returned.get_payload() },
}))
`
