// Keeps the page up to date: at each tick of the server the page is fetched anew, and what is new in its <main> is put in place of
// what was there; the page Live gets its rows sent. Without this module the page is complete, and as old as it says.
const main = document.querySelector('main')
const freshness = document.querySelector('#freshness')
const pause = document.querySelector('#pause')
let [loading, paused] = [false, false]

/** Nothing is replaced under the reader's hand: while he selects, has ticked a box, or presses a button. */
function isBusy() {
  const selection = document.getSelection()
  return (
    paused ||
    document.hidden ||
    loading ||
    main.querySelector(':active') !== null ||
    hasTicked() ||
    (selection !== null && !selection.isCollapsed && main.contains(selection.anchorNode))
  )
}

/** Rows that come or go would carry the tick to another message. */
function hasTicked() {
  return main.querySelector('[type=checkbox]:checked') !== null
}

/** Where the focus is, so that it stays on the same thing when rows come and go before it. */
function focusedPlace() {
  const element = document.activeElement
  if (element === null || element === main || !main.contains(element)) return null
  const href = element.getAttribute('href')
  const id = element.id === '' ? '' : `#${CSS.escape(element.id)}`
  if (id === '' && href === null) return null
  const selector = href === null ? id : `${id}[href="${CSS.escape(href)}"]`
  return { element, selector, index: [...main.querySelectorAll(selector)].indexOf(element) }
}

function refocus({ element, selector, index }) {
  if (document.activeElement === element && element.matches(selector)) return
  const found = main.querySelectorAll(selector)
  const place = found[index] ?? found[0]
  if (place !== undefined) place.focus({ preventScroll: true })
  else if (document.activeElement === element) element.blur()
}

/** Makes the children of one element like those of another and leaves alone what is the same: the place a table is scrolled to stays. */
function renewChildren(old, next) {
  const wanted = [...next.childNodes]
  for (const [index, one] of wanted.entries()) {
    const now = old.childNodes[index]
    if (now === undefined) old.append(one)
    else renew(now, one)
  }
  while (old.childNodes.length > wanted.length) old.lastChild.remove()
}

function renew(old, next) {
  if (old.isEqualNode(next)) return
  if (old.nodeName !== next.nodeName || old.id !== next.id) return old.replaceWith(next)
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = next.nodeValue
    return
  }
  // What the reader has opened stays open.
  for (const name of old.getAttributeNames()) if (!next.hasAttribute(name) && name !== 'open') old.removeAttribute(name)
  for (const { name, value } of next.attributes) old.setAttribute(name, value)
  renewChildren(old, next)
}

async function refresh() {
  if (isBusy()) return
  loading = true
  try {
    const response = await fetch(location.href, { headers: { accept: 'text/html', 'x-refresh': '1' } })
    if (response.redirected) return location.assign(response.url)
    const page = new DOMParser().parseFromString(await response.text(), 'text/html')
    const next = page.querySelector('main')
    if (next === null || isSelecting() || hasTicked()) return
    const place = focusedPlace()
    renewChildren(main, next)
    if (place !== null) refocus(place)
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
  for (const name of ['done', 'messages']) here.searchParams.delete(name)
  history.replaceState(null, '', here)
}

pause.hidden = false
pause.addEventListener('click', () => {
  paused = !paused
  pause.textContent = paused ? 'Go on with updates' : 'Pause updates'
  if (main.querySelector('[data-stream]') === null) void refresh()
})

/** The server says when the page may have changed. */
function followTicks() {
  const ticks = new EventSource('/live')
  ticks.addEventListener('tick', () => void refresh())
  ticks.addEventListener('error', () => {
    freshness.textContent = 'No connection to the dashboard; trying again.'
  })
  document.addEventListener('visibilitychange', () => void refresh())
}

/** The server sends the rows themselves, from the last one that is here on; nothing comes while nobody looks. */
function followRows(section) {
  const rows = section.querySelector('tbody')
  const most = Number(section.dataset.most)
  const missed = document.querySelector('#missed')
  let [after, source, lost] = [section.dataset.after, null, 0]

  function put({ data, lastEventId }) {
    const parsed = new DOMParser().parseFromString(`<table><tbody>${data}</tbody></table>`, 'text/html')
    rows.prepend(...parsed.querySelectorAll('tr'))
    while (rows.rows.length > most) rows.lastElementChild.remove()
    section.querySelector('.empty')?.remove()
    after = lastEventId
  }

  function open() {
    source = new EventSource(`${section.dataset.stream}&after=${encodeURIComponent(after)}`)
    source.addEventListener('open', () => {
      freshness.textContent = 'Rows come as things happen.'
    })
    source.addEventListener('row', put)
    source.addEventListener('missed', ({ data }) => {
      lost += Number(data)
      missed.hidden = false
      missed.textContent = `${lost} events came faster than they could be shown.`
    })
    source.addEventListener('error', () => {
      // What is refused is not tried again: most likely the session is over.
      if (source.readyState === EventSource.CLOSED) location.reload()
      else freshness.textContent = 'No connection to the dashboard; trying again.'
    })
  }

  function follow() {
    const isWanted = !paused && !document.hidden
    if (isWanted && source === null) open()
    if (isWanted || source === null) return
    source.close()
    source = null
    freshness.textContent = 'Paused.'
  }

  pause.addEventListener('click', follow)
  document.addEventListener('visibilitychange', follow)
  follow()
}

const section = main.querySelector('[data-stream]')
if (section === null) followTicks()
else followRows(section)
