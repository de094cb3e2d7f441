/** What some part of a message has or is. */
export interface FoundFile {
  /**
   * `name`, `type`: of a file. `encrypted`, `unreadable`: an archive, or a file of one, that nobody here can look into. `limit`: more was not
   * looked at.
   */
  readonly kind: 'name' | 'type' | 'encrypted' | 'unreadable' | 'limit'
  readonly text: string
  /** The archive it lies in. */
  readonly inside?: string
}
