/** Answers and failures of c-ares (`dns` of Node) that say nothing of a name, in words. */
const words: Readonly<Record<string, string>> = {
  SERVFAIL: 'the DNS server found no answer (SERVFAIL)',
  REFUSED: 'the DNS server refuses to answer (REFUSED)',
  FORMERR: 'the DNS server did not understand the question (FORMERR)',
  NOTIMP: 'the DNS server does not answer such questions (NOTIMP)',
  TIMEOUT: 'no answer of a DNS server in time',
  CONNREFUSED: 'no DNS server is there',
}
/** RFC 1035 §4.1.1. */
const codeNames: Readonly<Record<number, string>> = { 1: 'FORMERR', 2: 'SERVFAIL', 4: 'NOTIMP', 5: 'REFUSED' }

/** What an error of Node's resolver says, `queryMx ESERVFAIL example.org`, for people; the error is its cause. */
export function dnsTrouble(error: NodeJS.ErrnoException): Error {
  const said = words[(error.code ?? '').replace(/^E/, '')]
  return said === undefined ? error : new Error(said, { cause: error })
}

/** What a response code that is neither 0 nor 3 says. */
export function codeTrouble(code: number): Error {
  return new Error(words[codeNames[code] ?? ''] ?? `the DNS server answered with code ${code}`)
}
