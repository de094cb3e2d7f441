/** Letters and advertisements made of our own words, each different; for tests. */
export function exampleMail(number: number, kind: 'ham' | 'spam', site = 'one'): Buffer {
  const words = vocabulary[site]?.[kind] ?? []
  const pick = (salt: number): string => words[(number * 7 + salt * 13 + ((number * salt) % 5)) % words.length] ?? ''
  const body = Array.from({ length: 30 }, (_one, salt) => pick(salt)).join(' ')
  return Buffer.from(
    [
      `From: p${number}@${kind}.example`,
      `Subject: ${pick(31)} ${pick(32)} ${number}`,
      '',
      body,
      `note ${number}x`,
      '',
    ].join('\r\n'),
  )
}

const vocabulary: Readonly<Record<string, Readonly<Record<'ham' | 'spam', readonly string[]>>>> = {
  one: {
    ham: 'meeting garden report lunch project budget minutes agenda review draft signature schedule'.split(' '),
    spam: 'winner lottery prize claim urgent transfer million pills casino bonus jackpot cheap'.split(' '),
  },
  /** Where the same words mean the other thing: a casino that gets invitations to fake meetings. */
  casino: {
    ham: 'winner jackpot bonus casino prize table player chips'.split(' '),
    spam: 'meeting report project budget review agenda invoice signature'.split(' '),
  },
}
