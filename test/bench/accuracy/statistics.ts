/** One message with what an engine gave it. */
export interface Scored {
  readonly isSpam: boolean
  readonly score: number
}

/** Area under the receiver operating characteristic: how often a spam has more than a ham; ties count half. */
export function areaUnderCurve(scored: readonly Scored[]): number {
  const sorted = scored.toSorted((one, other) => one.score - other.score)
  const spam = sorted.filter(({ isSpam }) => isSpam).length
  const ham = sorted.length - spam
  let ranks = 0
  for (let start = 0; start < sorted.length;) {
    let end = start
    while (end < sorted.length && sorted[end]?.score === sorted[start]?.score) end += 1
    const rank = (start + end + 1) / 2
    for (const { isSpam } of sorted.slice(start, end)) if (isSpam) ranks += rank
    start = end
  }
  return (ranks - (spam * (spam + 1)) / 2) / (spam * ham)
}

/** Share of the ham, and of the spam, that reaches the threshold. */
export function ratesAt(
  scored: readonly Scored[],
  threshold: number,
): { readonly falsePositives: number; readonly recall: number } {
  const share = (isSpam: boolean): number => {
    const these = scored.filter((one) => one.isSpam === isSpam)
    return these.filter(({ score }) => score >= threshold).length / these.length
  }
  return { falsePositives: share(false), recall: share(true) }
}

/** The lowest threshold that at most this share of the ham reaches. */
export function thresholdFor(scored: readonly Scored[], falsePositives: number): number {
  const ham = scored.filter(({ isSpam }) => !isSpam).map(({ score }) => score)
  const highest = ham.toSorted((one, other) => other - one)[Math.floor(ham.length * falsePositives)] ?? 0
  return highest + Number.EPSILON * Math.max(1, Math.abs(highest)) * 4
}
