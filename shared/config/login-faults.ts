import type { Configuration, LoginSetting, SaslMechanism } from './model.ts'

/** Mechanisms that are offered and that no back end of `login` could carry out, each with what is missing. */
export function mechanismFaults({ pipeline }: Configuration): readonly string[] {
  if (pipeline.login.length === 0) return []
  return pipeline.auth.mechanisms
    .filter((mechanism) => !pipeline.login.some(({ kind }) => carriers[mechanism].includes(kind)))
    .map(
      (mechanism) => `${mechanism.toLowerCase()} needs \`login ${carriers[mechanism].map(asWritten).join('` or `')}\``,
    )
}

/** By which back ends a mechanism can be carried out. */
const carriers: Readonly<Record<SaslMechanism, readonly LoginSetting['kind'][]>> = {
  PLAIN: ['table', 'dovecot', 'http'],
  LOGIN: ['table', 'dovecot', 'http'],
  'SCRAM-SHA-256': ['table', 'dovecot'],
  OAUTHBEARER: ['oauth', 'dovecot'],
  XOAUTH2: ['oauth', 'dovecot'],
}

/** Those of a listener with a table of its own. */
export function mechanismsOf(
  settings: readonly LoginSetting[],
  offered: readonly SaslMechanism[],
): readonly SaslMechanism[] {
  return offered.filter((mechanism) => settings.some(({ kind }) => carriers[mechanism].includes(kind)))
}

function asWritten(kind: LoginSetting['kind']): string {
  return kind === 'table' ? 'from <table>' : kind
}
