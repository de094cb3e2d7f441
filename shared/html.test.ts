import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { escapeHtml, html } from './html.ts'

const hostile = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom('<', '>', '"', "'", '&', ';', '/', 'script', '=', '\u0000', '\u202e', '#39') }),
)

test('no value can open a tag or leave its attribute', () => {
  fc.assert(
    fc.property(hostile, hostile, (title, body) => {
      const text = html`<p title="${title}">${body}</p>`.text
      assert.match(text, /^<p title="[^<>"']*">[^<>"']*<\/p>$/)
    }),
  )
})

test('escaped text reads as it was written', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('<', '>', '"', "'", '&', 'a', 'amp;', 'ü', '\n', '😀') }), (text) => {
      const back = escapeHtml(text)
        .replaceAll('&lt;', '<')
        .replaceAll('&gt;', '>')
        .replaceAll('&quot;', '"')
        .replaceAll('&#39;', "'")
        .replaceAll('&amp;', '&')
      assert.equal(back, text)
    }),
  )
})

test('control and direction characters are shown, not obeyed', () => {
  assert.equal(escapeHtml('a\u0000b\u202ec\u009fd'), 'a\\u{0}b\\u{202e}c\\u{9f}d')
})

test('markup nests, lists join, absent values are nothing', () => {
  const rows = ['<a>', 'b'].map((cell) => html`<td>${cell}</td>`)
  assert.equal(html`<tr>${rows}${undefined}${false}${0}</tr>`.text, '<tr><td>&lt;a&gt;</td><td>b</td>0</tr>')
})
