// Keeps the page up to date: at each tick of the server the page is fetched anew and its <main> is put in place of the old
// one. Without this module the page is complete and reloads by itself.
const main = document.querySelector('main')
const freshness = document.querySelector('#freshness')
let loading = false

/** Nothing is replaced under the reader's hand: while he selects, or presses a button. */
function isBusy() {
  const selection = document.getSelection()
  return (
    document.hidden ||
    loading ||
    main.querySelector(':active') !== null ||
    (selection !== null && !selection.isCollapsed && main.contains(selection.anchorNode))
  )
}

/** Finds the focused element again in a new page, so that a keyboard user does not lose it. */
function focusedPlace() {
  const focused = document.activeElement
  if (focused === null || !main.contains(focused)) return null
  if (focused.id !== '') return `#${CSS.escape(focused.id)}`
  const href = focused.getAttribute('href')
  return href === null ? null : `[href="${CSS.escape(href)}"]`
}

async function refresh() {
  if (isBusy()) return
  loading = true
  try {
    const response = await fetch(location.href, { headers: { accept: 'text/html', 'x-refresh': '1' } })
    if (response.redirected) return location.assign(response.url)
    const page = new DOMParser().parseFromString(await response.text(), 'text/html')
    const next = page.querySelector('main')
    if (next === null || isSelecting()) return
    const place = focusedPlace()
    main.replaceChildren(...next.childNodes)
    if (place !== null) main.querySelector(place)?.focus({ preventScroll: true })
    document.title = page.title
    freshness.replaceChildren(...page.querySelector('#freshness').childNodes)
  } catch {
    freshness.textContent = 'The dashboard does not answer; this page may be out of date.'
  } finally {
    loading = false
  }
}

function isSelecting() {
  const selection = document.getSelection()
  return selection !== null && !selection.isCollapsed
}

/** What was done is told once. */
const here = new URL(location.href)
if (here.searchParams.has('done')) {
  here.searchParams.delete('done')
  history.replaceState(null, '', here)
}

const ticks = new EventSource('/live')
ticks.addEventListener('tick', () => void refresh())
ticks.addEventListener('error', () => {
  freshness.textContent = 'No connection to the dashboard; trying again.'
})
document.addEventListener('visibilitychange', () => void refresh())
