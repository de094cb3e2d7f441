/** Names that others than the engines of the filter are counted by. */

export const quotaStatusName = 'quota status'

export function processFilterName(name: string): string {
  return `filter ${name}`
}

export function listName(zone: string): string {
  return `list ${zone}`
}
