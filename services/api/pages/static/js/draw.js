// Draws one chart of any kind into an element. A kind is a function (chart, data, mount) → {resize?, destroy}.
import { Failure } from './readiness.js';
import { drawBigNumber } from './bignumber.js';
import { drawTable } from './table.js';
import { drawVega } from './vega.js';

const KINDS = { 'vega-lite': drawVega, table: drawTable, 'big-number': drawBigNumber };

export async function draw(chart, data, mount) {
  if (!Object.hasOwn(KINDS, chart.kind)) throw new Failure('spec-invalid', `There is no kind of chart “${chart.kind}”.`);
  return KINDS[chart.kind](chart, data, mount);
}
