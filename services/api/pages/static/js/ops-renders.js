// Renders that ended: found by state, target, user and age; each with its steps and what a failed one left behind.
import { h } from './dom.js';
import { button, retryRender } from './ops-actions.js';
import { List, opener, waterfall } from './ops-list.js';
import { badge, span } from './ops-tables.js';
import { ago, dateOf, exact } from './times.js';

const HEADS = [['Ended'], ['Target'], ['As'], ['For'], ['State'], ['Queued', 'number'], ['Took', 'number'], ['Correlation id']];

function facts(render) {
  const entries = [['Request', h('code', {}, render.id)], ['Correlation id', h('code', {}, render.correlation_id)], ['Key', h('code', {}, render.key)],
    ['Started', exact(dateOf(render.started_at))], ['Published by', render.origin]];
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
      h('p', {}, render.can_retry ? button('Render again', () => retryRender(render)) : null)),
    h('div', {}, ...(failed ? seen(render.evidence) : [])));
}

function lineOf(render) {
  const line = h('tr', {});
  const name = `${render.kind} ${render.catalog === 'native' ? '' : `${render.catalog}:`}${render.target_id}`;
  const state = render.status === 'Updated' ? badge('updated', 'good') : badge(render.code, 'bad');
  line.append(h('td', { title: exact(dateOf(render.finished_at)) }, ago(dateOf(render.finished_at))),
    h('td', {}, opener(name, line, `/api/v1/ops/renders/${encodeURIComponent(render.id)}`, detail)), h('td', {}, render.executor), h('td', {}, render.origin),
    h('td', {}, state), h('td', { class: 'number' }, span(render.queued_s)), h('td', { class: 'number' }, span(render.seconds - render.queued_s)), h('td', {}, h('code', {}, render.correlation_id)));
  return line;
}

const list = new List({ name: 'renders', heads: HEADS, none: 'No render fits.', lineOf });
export const showRenders = () => list.show();
export const renewRenders = () => list.renew();
