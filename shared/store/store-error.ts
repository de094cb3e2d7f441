/** The database of the store did not do what was asked; the text names the database. */
export class StoreError extends Error {
  override readonly name: string = 'StoreError'
}
