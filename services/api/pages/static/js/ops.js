// The operations page: one stream of overviews; renders, curves and dead letters are fetched when they are looked at.
import './header.js';
import { signIn } from './api.js';
import { h, notice } from './dom.js';
import { followLetters } from './ops-actions.js';
import { showCurves } from './ops-curves.js';
import { renewQueries, showQueries } from './ops-queries.js';
import { renewRenders, showRenders } from './ops-renders.js';
import { showTables } from './ops-tables.js';
import { sayPage } from './readiness.js';

const CURVES_MS = 30_000;
const [live, messages, tiles] = ['live', 'notice', 'tiles'].map((id) => document.getElementById(id));

function tile(name, value, detail, bad = false) {
  return h('div', { class: bad ? 'bad' : '' }, h('dt', {}, name), h('dd', {}, value, detail ? h('small', {}, detail) : null));
}

const sum = (items, of) => items.reduce((total, item) => total + (of(item) ?? 0), 0);

function showTiles(seen) {
  const alive = seen.processes.filter((one) => !one.is_silent);
  const silent = seen.processes.length - alive.length;
  const queues = seen.queues.result;
  const waiting = sum(queues, (queue) => queue.ready);
  const dead = sum(queues, (queue) => queue.dead_letters);
  const working = sum(alive, (one) => one.details.work?.length);
  const { updated = 0, ...failures } = seen.renders_last_hour;
  const failed = sum(Object.values(failures), (count) => count);
  const nodes = seen.store.filter((node) => node.up);
  const rates = nodes.filter((node) => node.hit_ratio !== null).map((node) => node.hit_ratio);
  const worst = Object.entries(failures).sort(([, a], [, b]) => b - a)[0];
  tiles.replaceChildren(
    tile('Processes', alive.length, silent ? `${silent} silent` : `${new Set(alive.map((one) => one.host)).size} host(s)`, silent > 0),
    tile('Waiting', seen.queues.problem ? '?' : waiting, `${working} in hand`),
    tile('Dead letters', seen.queues.problem ? '?' : dead, dead ? 'look below' : 'none', dead > 0),
    tile('Rendered', updated, 'in the last hour'),
    tile('Failed', failed, worst ? `mostly ${worst[0]}` : 'in the last hour', failed > 0),
    tile('Store', nodes.length === seen.store.length ? `${sum(nodes, (node) => node.items)} items` : 'a node is down',
      rates.length ? `${(100 * Math.min(...rates)).toFixed(0)} % hits` : null, nodes.length < seen.store.length),
  );
}

function say(state, words) {
  live.dataset.state = state;
  if (live.textContent !== words) live.textContent = words;
}

let outcomes = '';
let open = 0; // renders that have not ended: they grow older, and may end any time
let troubled = false;

function show(seen) {
  const ended = JSON.stringify(seen.renders_last_hour);
  const { waiting, rendering } = seen.open_renders ?? { waiting: 0, rendering: 0 }; // a gateway of the version before tells none
  const still = waiting + rendering;
  if (open || still || (outcomes && ended !== outcomes)) renewRenders();
  [outcomes, open] = [ended, still];
  showTiles(seen);
  showTables(seen);
  followLetters(seen.queues.result);
  const { problem } = seen.queues;
  if (problem) messages.replaceChildren(notice('bad', 'The queues cannot be seen', problem));
  else if (troubled) messages.replaceChildren(); // what else is told there stays until the next action
  troubled = Boolean(problem);
  say('live', `Live · ${new Date(seen.at).toLocaleTimeString('en')}`);
  sayPage('laid-out');
}

/** The stream ends every few seconds, and the browser opens it again: only an error that lasts is one. */
function follow() {
  let failures = 0;
  const stream = new EventSource('/api/v1/ops');
  stream.addEventListener('overview', (event) => {
    failures = 0;
    show(JSON.parse(event.data));
  });
  stream.addEventListener('problem', (event) => {
    const { code, detail } = JSON.parse(event.data);
    say('lost', `${code}: ${detail}`);
  });
  stream.addEventListener('error', async () => {
    failures += 1;
    if (failures > 1) say('lost', 'The gateway does not answer; what you see may be old.');
    if (stream.readyState !== EventSource.CLOSED) return;
    const answer = await fetch('/api/v1/me/', { credentials: 'same-origin' }).catch(() => null);
    if (answer?.status === 401) signIn();
    else setTimeout(follow, 2000);
  });
}

const hours = document.getElementById('hours');
hours.addEventListener('change', () => showCurves(hours.value));
setInterval(() => {
  if (document.hidden) return;
  showCurves(hours.value);
  renewQueries();
}, CURVES_MS);
follow();
showCurves(hours.value);
showRenders();
showQueries();
