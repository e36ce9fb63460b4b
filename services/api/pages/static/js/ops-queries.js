// Queries of people, and those for the rows of charts: what waits, runs and ended.
import { h } from './dom.js';
import { button, stopQuery } from './ops-actions.js';
import { List, opener, waterfall } from './ops-list.js';
import { badge, number, span } from './ops-tables.js';
import { ago, dateOf, exact } from './times.js';

const HEADS = [['Asked'], ['Query'], ['User'], ['Database'], ['State'], ['Queued', 'number'], ['Ran', 'number'], ['Rows', 'number'], ['Correlation id']];
const KINDS = { success: 'good', failed: 'bad', timed_out: 'bad', stopped: 'warn' };

function nameOf(query) {
  return query.chart_id === null ? `query ${query.id}` : `query ${query.id} for chart ${query.chart_id}`;
}

function detail(query) {
  const facts = [['Correlation id', h('code', {}, query.correlation_id)], ['Queue', h('code', {}, query.queue)], ['Worker', query.owner || '–'],
    ['Asked', exact(dateOf(query.created_at))], ['Progress', `${query.progress} %`], ['Stopped by', query.stop_asked_by ?? '–']];
  return h('div', { class: 'detail' },
    h('div', {},
      query.code ? h('h3', {}, query.code) : null, query.reason ? h('p', {}, query.reason) : null, query.remedy ? h('p', { class: 'fine' }, query.remedy) : null,
      h('h3', {}, 'Timeline'), waterfall(query.timeline),
      h('h3', {}, 'Facts'), h('dl', {}, ...facts.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])),
      h('p', {}, query.has_ended ? null : button('Stop', () => stopQuery(query), 'danger'))),
    h('div', {}, h('h3', {}, 'SQL'), h('pre', { class: 'console', tabindex: 0 }, query.executed_sql ?? (query.sql || 'It is built when the query runs.'))));
}

function lineOf(query) {
  const line = h('tr', {});
  const [queued, ran] = query.timeline;
  line.append(h('td', { title: exact(dateOf(query.created_at)) }, ago(dateOf(query.created_at))),
    h('td', {}, opener(nameOf(query), line, `/api/v1/ops/queries/${query.id}`, detail)), h('td', {}, query.username || 'the operator'), h('td', {}, query.database),
    h('td', {}, badge(query.state.replace('_', ' '), KINDS[query.state])), h('td', { class: 'number' }, span(queued.seconds)), h('td', { class: 'number' }, span(ran?.seconds)),
    h('td', { class: 'number' }, number(query.rows)), h('td', {}, h('code', {}, query.correlation_id)));
  return line;
}

const list = new List({ name: 'queries', heads: HEADS, none: 'No query fits.', lineOf });
export const showQueries = () => list.show();
export const renewQueries = () => list.renew();
