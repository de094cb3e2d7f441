/** Freezes plain objects, arrays, maps and sets all the way down, and returns the same value. */
export function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (value instanceof Map) {
    for (const [key, held] of value) {
      deepFreeze(key)
      deepFreeze(held)
    }
    close(value, ['set', 'delete', 'clear'])
  }
  if (value instanceof Set) close(value, ['add', 'delete', 'clear'])
  Object.freeze(value)
  for (const held of Object.values(value)) deepFreeze(held)
  return value
}

/** Object.freeze leaves the contents of a Map open. */
function close(collection: object, methods: readonly string[]): void {
  for (const method of methods) {
    Object.defineProperty(collection, method, {
      value: () => {
        throw new TypeError(`a configuration cannot be changed: ${method}`)
      },
    })
  }
}
