import { deflateRawSync, inflateRawSync } from 'node:zlib'

/**
 * Words of which most lines of the journal are made: a quarter of the octets is left of a story, and without them two fifths. What is
 * packed is unpacked with the same words: they are never changed.
 */
const commonWords = Buffer.from(
  [
    ',"outcome":"discarded","reason":"spam: score ","by":"postmaster","scheduled","released","removed","readdressed","recovered","made":true',
    '{"at":1,"event":"rejected","id":"","from":"","to":"","stage":"rcpt","restriction":"","reply":"550 5.1.1 <>: 554 5.7.1 Relaying denied"',
    '"event":"reported","about":"","action":"failed"},"event":"failed","class":"unknown-user","class":"mailbox-full","event":"expired"',
    '{"at":,"event":"delayed","id":"","recipient":"","rcpt":0,"stage":"relay","reply":"450 4.2.1 451 4.7.1 Greylisted","nextAt":,"attempt":1',
    '"event":"signed","id":"","domain":"","selector":"","tlsVersion":"TLSv1.3","cipher":"TLS_AES_256_GCM_SHA384","verified":true',
    '"event":"judged","score":,"engines":["event":"filtered","id":"","verdict":"clean","score":0.,"symbols":["SPF_PASS -0.1","DKIM_VALID -0.1"],',
    '"authentication":"spf=pass smtp.mailfrom=; dkim=pass; dmarc=pass"}\n{"at":,"event":"passed","id":"","stage":"filter","tag":"Filtered","tookMs":',
    '"event":"relayed","id":"","recipient":"","rcpt":0,"stage":"relay","remoteMta":"mx.","action":"relay","reply":"250 2.0.0 Ok: queued as ","ageMs":',
    '"stage":"deliver","remoteMta":"/run/dovecot/lmtp","action":"mailbox","reply":"250 2.0.0 <> Saved","ageMs":',
    '{"at":,"event":"delivered","id":"","recipient":"","rcpt":0,"stage":"deliver","queue":"relay","action":"relay","tags":["Signed"]}\n',
    '"rule":"/etc/sluice/smtpd.conf:","queue":"deliver","action":"mailbox","tags":["Filtered"]}\n{"at":,"event":"routed","id":"","to":["',
    '"],"rcpt":[0],"rule":"/etc/sluice/smtpd.conf:","queue":"filter","tags":[]}\n{"at":17,"event":"received","id":"","from":"","to":["',
    '"],"sizeBytes":,"listener":"0.0.0.0:25","address":"","helo":"mail.","tls":"TLSv1.3","messageId":"<@mail.>","user":"","tookMs":',
  ].join(''),
)

/** Level 1 costs 23 µs for a message, 6 would save 30 of 210 octets. */
const settings = { dictionary: commonWords, level: 1, windowBits: 12, memLevel: 5 }

/** Lines of the journal in few octets. */
export function packLines(lines: readonly string[]): Buffer {
  return deflateRawSync(lines.join('\n'), settings)
}

export function unpackLines(packed: Uint8Array): readonly string[] {
  return inflateRawSync(packed, settings).toString('utf8').split('\n')
}
