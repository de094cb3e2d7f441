import { html } from '../../../shared/html.ts'
import type { Html } from '../../../shared/html.ts'

/** Where else to relay to: a host, or one of the actions; what is left empty is not asked for. @param name of the field for the action */
export function wayFields(actions: readonly string[], name: 'action' | 'relay' = 'action'): Html {
  return html`${textField('to', 'Relay host', 'smtp://mx.example.org:2525')}
<label>or action<select name="${name}"><option value="">none</option>${actions.map((action) => html`<option>${action}</option>`)}</select></label>
<label class="check"><input type="checkbox" name="undo" value="yes"> or where the rules say, again</label>`
}

/** A text that its form cannot do without. */
export function neededField(name: string, label: string, placeholder: string): Html {
  return html`<input type="hidden" name="needs" value="${name}">${textField(name, label, placeholder, true)}`
}

export function textField(name: string, label: string, placeholder: string, isNeeded = false): Html {
  return html`<label>${label}<input name="${name}" placeholder="${placeholder}" maxlength="320" autocomplete="off" autocapitalize="none" spellcheck="false"${isNeeded && html` required`}></label>`
}
