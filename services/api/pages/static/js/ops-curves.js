// Curves over the last hours, drawn as small SVGs.
import { getJson } from './api.js';
import { h, svg } from './dom.js';

const place = document.getElementById('curves');
const WIDTH = 400;
const HEIGHT = 120;
const LEFT = 36;
const BOTTOM = 16;
const MIB = 2 ** 20;

const short = (value) => (value >= 10_000 ? `${(value / 1000).toFixed(0)}k` : String(Math.round(value * 100) / 100));

/** Hits of all gets between two samples; null where nothing was asked, or the counters began anew. */
function ratio(hits, misses) {
  return hits.map((now, i) => {
    const [h0, m0, m1] = [hits[i - 1], misses[i - 1], misses[i]];
    if ([now, h0, m0, m1].some((value) => value === null || value === undefined)) return null;
    const [won, lost] = [now - h0, m1 - m0];
    return won < 0 || lost < 0 || won + lost === 0 ? null : (100 * won) / (won + lost);
  });
}

function chartsOf({ curves, at }) {
  const none = at.map(() => null);
  const of = (name) => curves[name] ?? none;
  const queues = Object.keys(curves).filter((name) => name.startsWith('ready '));
  return [
    ['Waiting in the queues', '', queues.map((name) => [name.replace(/^ready (vitrine_)?/, ''), curves[name]])],
    ['Renders', 'per step', [['updated', of('renders_updated')], ['failed', of('renders_failed')]]],
    ['From asked to stored, median', 's', [['seconds', of('render_s')]]],
    ['Dead letters', '', [['dead letters', of('dead_letters')]]],
    ['Store', 'MiB', [['in use', of('store_bytes').map((bytes) => (bytes === null ? null : bytes / MIB))]]],
    ['Hit rate of the store', '%', [['hits', ratio(of('hits'), of('misses'))]]],
  ];
}

/** One line, broken where there is no value; a lone value is a dot. */
function pathOf(values, x, y) {
  let path = '';
  let open = false;
  values.forEach((value, i) => {
    if (value === null) {
      open = false;
      return;
    }
    const alone = !open && (values[i + 1] ?? null) === null;
    path += `${open ? 'L' : 'M'}${x(i).toFixed(1)} ${y(value).toFixed(1)}${alone ? 'h1.5' : ''}`;
    open = true;
  });
  return path;
}

function figure([title, unit, lines], at) {
  const all = lines.flatMap(([, values]) => values.filter((value) => value !== null));
  const top = Math.max(1, ...all);
  const x = (i) => LEFT + (at.length > 1 ? (i / (at.length - 1)) * (WIDTH - LEFT - 2) : 0);
  const y = (value) => 6 + (1 - value / top) * (HEIGHT - BOTTOM - 6);
  const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hour12: false });
  const last = lines.map(([, values]) => values.findLast((value) => value !== null)).find((value) => value !== undefined);
  const picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${title}: ${all.length ? `now ${short(last)}, at most ${short(Math.max(...all))}` : 'no values yet'} ${unit}` },
    ...[0, top].map((value) => svg('line', { class: 'grid', x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) })),
    svg('text', { x: LEFT - 5, y: y(top) + 8, 'text-anchor': 'end' }, short(top)),
    svg('text', { x: LEFT - 5, y: y(0), 'text-anchor': 'end' }, '0'),
    ...(at.length > 1 ? [svg('text', { x: LEFT, y: HEIGHT - 2 }, time(at[0])), svg('text', { x: WIDTH, y: HEIGHT - 2, 'text-anchor': 'end' }, time(at.at(-1)))] : []),
    ...lines.map(([, values], n) => svg('path', { class: `line-${n % 5}`, d: pathOf(values, x, y) })));
  const legend = lines.length > 1 ? h('ul', {}, ...lines.map(([name], n) => h('li', { class: `line-${n % 5}` }, h('span', {}, name)))) : null;
  return h('figure', { class: 'curve' }, h('figcaption', {}, title, h('span', {}, all.length ? `${short(last)} ${unit}` : 'no values yet')), picture, legend);
}

export async function showCurves(hours) {
  try {
    const seen = await getJson(`/api/v1/ops/curves?hours=${hours}`);
    place.replaceChildren(...chartsOf(seen).map((chart) => figure(chart, seen.at)));
  } catch (error) {
    place.replaceChildren(h('p', { class: 'fine' }, `The curves cannot be shown: ${error.message}`));
  }
}
