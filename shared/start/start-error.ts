/** Why Sluice cannot start: one clear line for the operator; `exitCode` 78 (EX_CONFIG) for configuration, else 1. */
export class StartError extends Error {
  override readonly name = 'StartError'
  readonly exitCode: 1 | 78

  constructor(text: string, options: ErrorOptions & { readonly exitCode?: 1 | 78 } = {}) {
    super(text, options)
    this.exitCode = options.exitCode ?? 1
  }
}
