// One big number. spec: {value, format?, label?, compare?, compare_label?, trend?: {x, y}}, each name one of a column.
// The number is that of the last row; `compare` names the column of that row with the earlier number.
import { Failure } from './readiness.js';
import { formatted } from './table.js';
import { h, svg } from './dom.js';

function columnOf(name, last) {
  if (!(name in last)) throw new Failure('spec-invalid', `There is no column “${name}” in the rows.`);
  return last[name];
}

function change(spec, value, earlier) {
  if (typeof earlier !== 'number' || typeof value !== 'number' || earlier === 0) return null;
  const ratio = (value - earlier) / Math.abs(earlier);
  const direction = ratio > 0 ? 'up' : ratio < 0 ? 'down' : 'same';
  const sign = { up: '▲', down: '▼', same: '■' }[direction];
  return h('p', { class: `change ${direction}` }, h('span', { 'aria-hidden': 'true' }, `${sign} `),
    formatted(ratio, '+.1%'), h('span', { class: 'muted' }, ` ${spec.compare_label ?? 'than before'}`));
}

function trendLine(values) {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const points = values.map((v, i) => `${((100 * i) / (values.length - 1)).toFixed(2)},${(28 - (26 * (v - low)) / span).toFixed(2)}`);
  return svg('svg', { class: 'trend', viewBox: '0 0 100 30', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('polygon', { class: 'trend-area', points: `0,30 ${points.join(' ')} 100,30` }),
    svg('polyline', { class: 'trend-line', points: points.join(' ') }));
}

export async function drawBigNumber(chart, data, mount) {
  const spec = chart.spec;
  const last = data.rows.at(-1);
  const value = columnOf(spec.value, last);
  const trend = spec.trend ? data.rows.map((row) => columnOf(spec.trend.y, row)).filter(Number.isFinite) : [];
  mount.replaceChildren(h('div', { class: 'big-number' },
    h('p', { class: 'figure' }, formatted(value, spec.format)),
    spec.label ? h('p', { class: 'figure-label' }, spec.label) : null,
    spec.compare ? change(spec, value, columnOf(spec.compare, last)) : null,
    trend.length > 2 ? trendLine(trend) : null));
  return { destroy: () => mount.replaceChildren() };
}
