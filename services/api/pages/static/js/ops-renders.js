// Renders, those that have not ended first: found by state, target, user and age; each with its steps, what a failed one
// left behind, and a way to cancel one that waits or is in hand.
import { h } from './dom.js';
import { button, cancelRender, retryRender } from './ops-actions.js';
import { List, opener, waterfall } from './ops-list.js';
import { badge, span } from './ops-tables.js';
import { ago, dateOf, exact } from './times.js';

const HEADS = [['Ended'], ['Target'], ['As'], ['For'], ['State'], ['Queued', 'number'], ['Took', 'number'], ['Correlation id']];

function facts(render) {
  const entries = [['Request', h('code', {}, render.id)], ['Correlation id', h('code', {}, render.correlation_id)], ['Key', h('code', {}, render.key)],
    ...(render.deadline ? [['Asked', exact(dateOf(render.asked_at))], ['Deadline', exact(dateOf(render.deadline))]] : [['Started', exact(dateOf(render.started_at))]]),
    ['Published by', render.origin]];
  return h('dl', {}, ...entries.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

function seen(evidence) {
  if (!evidence) return [h('p', { class: 'fine' }, 'Nothing was kept of its page.')];
  const console_ = evidence.console.length ? h('pre', { class: 'console', tabindex: 0 }, evidence.console.join('\n')) : h('p', { class: 'fine' }, 'The console was silent.');
  return [
    h('h3', {}, 'The page when it failed'),
    evidence.screenshot_url ? h('img', { src: evidence.screenshot_url, alt: 'Screenshot of the page at the failure', loading: 'lazy' }) : h('p', { class: 'fine' }, 'The page did not answer; there is no screenshot.'),
    h('h3', {}, 'Its console'), console_,
  ];
}

function detail(render) {
  const failed = render.status === 'Error';
  const charts = render.failed_charts.length ? [h('h3', {}, 'Charts that show an error'), h('ul', {}, ...render.failed_charts.map((chart) => h('li', {}, `${chart.id}: ${chart.reason}`)))] : [];
  return h('div', { class: 'detail' },
    h('div', {},
      failed ? h('h3', {}, render.code) : null, failed ? h('p', {}, render.reason) : null, failed && render.remedy ? h('p', { class: 'fine' }, render.remedy) : null,
      h('h3', {}, 'Timeline'), waterfall(render.timeline), ...charts, h('h3', {}, 'Facts'), facts(render),
      h('p', {}, render.deadline ? button('Cancel', () => cancel(render), 'danger') : render.can_retry ? button('Render again', () => retryRender(render)) : null)),
    h('div', {}, ...(failed ? seen(render.evidence) : [])));
}

const nameOf = (render) => `${render.kind} ${render.catalog === 'native' ? '' : `${render.catalog}:`}${render.target_id}`;

async function cancel(render) {
  if (await cancelRender({ id: render.id, what: nameOf(render), executor: render.executor })) list.show();
}

const BADGES = { Pending: ['waiting', 'warn'], Computing: ['rendering'], Updated: ['updated', 'good'] };

function lineOf(render) {
  const line = h('tr', {});
  const name = nameOf(render);
  const state = [badge(...BADGES[render.status] ?? [render.code, 'bad'])];
  const ended = dateOf(render.finished_at);
  if (!ended) state.push(' ', button('Cancel', () => cancel(render)));
  line.append(
    ended ? h('td', { title: exact(ended) }, ago(ended)) : h('td', { title: 'Its deadline' }, `by ${dateOf(render.deadline).toLocaleTimeString('en')}`),
    h('td', {}, opener(name, line, `/api/v1/ops/renders/${encodeURIComponent(render.id)}`, detail)), h('td', {}, render.executor), h('td', {}, render.origin),
    h('td', {}, ...state), h('td', { class: 'number' }, span(render.queued_s)), h('td', { class: 'number' }, ended ? span(render.seconds - render.queued_s) : '–'), h('td', {}, h('code', {}, render.correlation_id)));
  return line;
}

const list = new List({ name: 'renders', heads: HEADS, none: 'No render fits.', lineOf });
export const showRenders = () => list.show();
export const renewRenders = () => list.renew();
