// A dashboard: reads the view state, lays the active tab out, draws its charts, follows changes.
import { activeTab, readState, writeState } from './state.js';
import { buildTabs, selectTab } from './tabs.js';
import { dataUrl, maskOf, valuesOf } from './mask.js';
import { FilterBar } from './filters.js';
import { getJson } from './api.js';
import { h, notice } from './dom.js';
import { Holder, watchSizes } from './holder.js';
import { Failure, frames, reasonOf, sayPage } from './readiness.js';
import { markdown } from './markdown.js';
import { onSchemeChange } from './theme.js';

/** Shows the dashboard of a page document until `signal` is aborted. */
export function showDashboard(page, signal) {
  const dashboard = new Dashboard(page);
  signal.addEventListener('abort', () => dashboard.close());
  dashboard.guarded(() => dashboard.open(signal))();
}

/** The owner's CSS, as a constructed sheet: it can restyle, but it can neither import nor run anything. */
function applyCss(text) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(text ?? '');
  document.adoptedStyleSheets = text ? [sheet] : [];
}

function place(item, element) {
  const cell = h('div', { class: `cell${item.chart === undefined ? ' cell-text' : ''}` }, element);
  cell.style.setProperty('--width', Math.min(12, Math.max(1, item.width ?? 12)));
  cell.style.setProperty('--height', Math.max(1, item.height ?? 4));
  return cell;
}

class Dashboard {
  #state;
  #values; // filter id → value
  #tab;
  #holders = [];
  #sizes = null;
  #bar = null;
  #changing = 0;

  constructor(page) {
    this.page = page;
    [this.grid, this.tabList, this.filterForm, this.messages] = ['dashboard', 'tabs', 'filters', 'notice']
      .map((id) => document.getElementById(id));
  }

  open(signal) {
    const { page } = this;
    applyCss(page.css);
    page.filters ??= [];
    if (this.filterForm && page.filters.length > 0) {
      this.#bar = new FilterBar(this.filterForm, page.filters, (id, value) => this.#chooseFilter(id, value));
    }
    if (!page.tabs?.length) page.tabs = [{ id: '', title: '', rows: [] }];
    buildTabs(this.tabList, this.grid, page.tabs, this.guarded((tab) => this.#chooseTab(tab)));
    this.#takeState();
    if (this.#bar) this.#offerFilters();
    addEventListener('hashchange', this.guarded(() => this.#takeState()), { signal });
    onSchemeChange(() => { for (const holder of this.#holders) holder.redraw(); }, signal);
  }

  close() {
    clearTimeout(this.#changing);
    this.#sizes?.disconnect();
    for (const holder of this.#holders) holder.destroy();
    this.#holders = [];
    applyCss('');
  }

  /** Runs a step of the page; what it throws is shown in the page and makes it `failed`. */
  guarded(step) {
    return (...args) => {
      try {
        step(...args);
      } catch (error) {
        for (const holder of this.#holders) holder.destroy();
        this.#holders = [];
        this.grid.replaceChildren();
        this.messages.replaceChildren(notice('bad', 'This view cannot be shown', error.message,
          h('a', { href: location.pathname + location.search, onclick: () => setTimeout(() => location.reload()) }, 'Show the dashboard without it')));
        sayPage('failed', reasonOf(error));
      }
    };
  }

  #holderOf(id) {
    const chart = this.page.charts[String(id)];
    if (!chart) throw new Failure('chart-missing', `The dashboard names a chart ${id} that it does not bring.`);
    return new Holder(chart, {
      tools: !this.page.standalone,
      url: () => dataUrl(id, this.page.id, maskOf(this.#values, this.page.filters)),
    });
  }

  /** Puts all holders of the active tab into the document, pending; only then is the page laid out. */
  #layOut() {
    sayPage('loading');
    this.#sizes?.disconnect();
    for (const holder of this.#holders) holder.destroy();
    const holders = [];
    const rows = this.#tab.rows.map((row) => h('div', { class: 'row' }, row.map((item) => {
      if (item.chart === undefined) return place(item, markdown(item.markdown ?? ''));
      const holder = this.#holderOf(item.chart);
      holders.push(holder);
      return place(item, holder.element);
    })));
    this.#holders = holders;
    this.grid.replaceChildren(...(rows.length ? rows : [notice('', 'Nothing here yet', 'This dashboard has no charts. Add some to its layout and they will appear.')]));
    if (this.#tab.id !== '') {
      this.grid.setAttribute('aria-labelledby', `tab-${this.#tab.id}`);
      selectTab(this.tabList, `tab-${this.#tab.id}`);
    }
    this.#sizes = watchSizes(holders);
  }

  async #drawAll() {
    const mine = this.#holders;
    const drawing = mine.map((holder) => holder.load());
    await frames(1);
    if (mine !== this.#holders) return; // another view has been laid out, or refused, since
    sayPage('laid-out');
    if (this.#state.anchor) document.getElementById(this.#state.anchor)?.scrollIntoView({ block: 'start' });
    await Promise.all(drawing);
  }

  #remember() {
    const activeTabs = this.#tab.id === '' ? [] : [this.#tab.id];
    this.#state = { ...this.#state, dataMask: maskOf(this.#values, this.page.filters), activeTabs, anchor: '' };
    writeState(this.#state);
  }

  /** Takes the state from the address: at first, and whenever the fragment changes. */
  #takeState() {
    this.messages.replaceChildren();
    this.#state = readState();
    this.#values = valuesOf(this.#state.dataMask, this.page.filters);
    this.#tab = activeTab(this.#state, this.page.tabs);
    this.#bar?.show(this.#values);
    this.#layOut();
    this.#drawAll();
  }

  #chooseTab(chosen) {
    if (!chosen || chosen === this.#tab) return;
    this.#tab = chosen;
    this.#remember();
    this.#layOut();
    this.#drawAll();
  }

  #chooseFilter(id, value) {
    this.#values.set(id, value);
    this.#remember();
    clearTimeout(this.#changing);
    this.#changing = setTimeout(() => { for (const holder of this.#holders) holder.load(); }, 250);
    for (const holder of this.#holders) holder.wait();
  }

  async #offerFilters() {
    try {
      const { result } = await getJson(`/api/v1/dashboard/${this.page.id}/filters/`);
      this.#bar.offer(result);
      this.#bar.show(this.#values);
    } catch (error) {
      this.#bar.fail(error.message);
    }
  }
}
