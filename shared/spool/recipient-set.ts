/**
 * For each slot a set of recipient indexes. Up to 32 recipients cost 4 octets a slot; the sets of longer envelopes are kept
 * beside.
 */
export class RecipientSets {
  #masks = new Uint32Array(1024)
  readonly #wide = new Map<number, Set<number>>()

  /** Makes the set of a slot `0 .. count - 1`. */
  fill(slot: number, count: number): void {
    this.clear(slot)
    if (count > 32) this.#wide.set(slot, new Set(Array.from({ length: count }, (_, index) => index)))
    else this.#masks[slot] = count === 32 ? 0xffff_ffff : 2 ** count - 1
  }

  clear(slot: number): void {
    if (slot >= this.#masks.length) this.#masks = grownTo(this.#masks, slot)
    this.#masks[slot] = 0
    this.#wide.delete(slot)
  }

  has(slot: number, recipient: number): boolean {
    const wide = this.#wide.get(slot)
    if (wide !== undefined) return wide.has(recipient)
    return recipient < 32 && (((this.#masks[slot] ?? 0) >>> recipient) & 1) === 1
  }

  add(slot: number, recipient: number): void {
    const wide = this.#wide.get(slot)
    if (wide !== undefined) wide.add(recipient)
    else if (recipient < 32) this.#masks[slot] = ((this.#masks[slot] ?? 0) | (1 << recipient)) >>> 0
    else this.#wide.set(slot, new Set([...this.list(slot), recipient]))
  }

  delete(slot: number, recipient: number): void {
    const wide = this.#wide.get(slot)
    if (wide !== undefined) wide.delete(recipient)
    else if (recipient < 32) this.#masks[slot] = ((this.#masks[slot] ?? 0) & ~(1 << recipient)) >>> 0
  }

  isEmpty(slot: number): boolean {
    const wide = this.#wide.get(slot)
    return wide === undefined ? this.#masks[slot] === 0 : wide.size === 0
  }

  list(slot: number): readonly number[] {
    const wide = this.#wide.get(slot)
    if (wide !== undefined) return [...wide].sort((one, other) => one - other)
    const recipients: number[] = []
    for (let mask = this.#masks[slot] ?? 0; mask !== 0; mask &= mask - 1) recipients.push(31 - Math.clz32(mask & -mask))
    return recipients
  }
}

function grownTo(column: Uint32Array<ArrayBuffer>, slot: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 ** Math.ceil(Math.log2(slot + 1)))
  larger.set(column)
  return larger
}
