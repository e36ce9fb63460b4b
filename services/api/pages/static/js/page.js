// The entry of the pages of charts and dashboards: shows the target that the document brings. For the renderer, an open
// standalone page can show another target in its place: the same documents, code and checks as a page that is loaded, without
// compiling all of it anew for each picture.
import './header.js';
import { notice } from './dom.js';
import { reasonOf, sayPage } from './readiness.js';
import { showChart } from './chart.js';
import { showDashboard } from './dashboard.js';

const root = document.documentElement;
const SHOW = { chart: showChart, dashboard: showDashboard };
let shown = null; // aborts what is shown

async function show() {
  shown = new AbortController();
  try {
    await SHOW[root.dataset.page](JSON.parse(document.getElementById('vitrine-page').textContent), shown.signal);
  } catch (error) {
    document.getElementById('notice').replaceChildren(notice('bad', 'This view cannot be shown', error.message));
    sayPage('failed', reasonOf(error));
  }
}

/** Lets go of what is shown; the page is `loading` until something is shown again. */
function clear() {
  shown.abort();
  document.getElementById('content').replaceChildren();
  root.dataset.vitrineReason = '';
  root.dataset.vitrine = 'loading';
}

/** Shows the target at `url`. The HTTP status of its document; 0: the page must be loaded to show it. */
async function open(url) {
  clear();
  const answer = await fetch(url, { credentials: 'same-origin', headers: { Accept: 'text/html' } });
  if (answer.redirected) return 0; // to the log-in, say
  if (!answer.ok) return answer.status;
  const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const entryOf = (page) => page.querySelector('script[type=module]')?.getAttribute('src');
  if (entryOf(next) !== entryOf(document)) return 0; // another version of our files
  history.replaceState(null, '', url);
  document.title = next.title;
  root.dataset.page = next.documentElement.dataset.page;
  document.getElementById('vitrine-page').replaceWith(next.getElementById('vitrine-page'));
  document.getElementById('content').replaceChildren(...next.getElementById('content').childNodes);
  scrollTo(0, 0);
  show();
  return answer.status;
}

if (document.body.classList.contains('standalone')) {
  Object.defineProperty(window, 'vitrine', { value: Object.freeze({ open, clear }) });
}
show();
