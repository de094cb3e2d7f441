import { formatDuration } from '../../../shared/report/units.ts'
import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'
import { bareLayout } from './layout.ts'
import { notice } from './parts.ts'

/** Why the form is shown again. The same words for a wrong name and a wrong password. */
export type SignInProblem =
  | { readonly kind: 'refused' | 'stale' | 'unavailable' }
  | { readonly kind: 'too many'; readonly waitSeconds: number }

export interface SignInForm {
  readonly formToken: string
  /** Path to go on to. */
  readonly to: string
  readonly problem?: SignInProblem
}

export function signInPage({ formToken, to, problem }: SignInForm): Html {
  return bareLayout(
    'Sign in',
    html`<form class="sign-in" action="/sign-in" method="post">
<h1>Sign in</h1>
${problem !== undefined && notice('bad', ...told(problem))}
<input type="hidden" name="token" value="${formToken}">
<input type="hidden" name="to" value="${to}">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="128" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button class="primary">Sign in</button>
</form>`,
  )
}

/** For a form that is not ours, or no longer: nothing was done. */
export function staleFormPage(): Html {
  return bareLayout(
    'Nothing was done',
    html`<div class="headline"><h1>Nothing was done</h1></div>
<p>This form was out of date or did not come from this dashboard. <a href="/">Look again</a> and repeat it.</p>`,
  )
}

function told(problem: SignInProblem): [string, string] {
  switch (problem.kind) {
    case 'refused':
      return ['That did not fit.', 'The name or the password is wrong.']
    case 'stale':
      return ['Please once more.', 'This form was out of date, or your browser keeps no cookies of this page.']
    case 'unavailable':
      return ['Not now.', 'It cannot be told at the moment who may sign in; the log says why.']
    case 'too many':
      return ['Too many attempts.', `Try again in ${formatDuration(problem.waitSeconds * 1000)}.`]
  }
}
