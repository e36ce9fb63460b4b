// The page of one chart, which fills the window.
import { dataUrl } from './mask.js';
import { Failure, frames, sayPage } from './readiness.js';
import { Holder, watchSizes } from './holder.js';
import { onSchemeChange } from './theme.js';
import { readState } from './state.js';

/** Shows the chart of a page document until `signal` is aborted; rejects when the view cannot be shown. */
export async function showChart(page, signal) {
  const { dataMask } = readState();
  if (Object.keys(dataMask).length > 0) throw new Failure('invalid-state', 'A chart on its own has no filters.');
  const chart = { title: page.title, description: page.description, ...page.chart };
  const holder = new Holder(chart, { tools: !page.standalone, url: () => dataUrl(page.id, null, {}) });
  document.getElementById('dashboard').replaceChildren(holder.element);
  const sizes = watchSizes([holder]);
  onSchemeChange(() => holder.redraw(), signal);
  signal.addEventListener('abort', () => {
    sizes.disconnect();
    holder.destroy();
  });
  holder.load();
  await frames(1);
  if (!signal.aborted) sayPage('laid-out');
}
