// One chart's place on the page: fetches its rows, has them drawn, and says truthfully how far that is.
import { draw } from './draw.js';
import { fontsFor, frames, Failure, reasonOf, sayHolder, UNAVAILABLE } from './readiness.js';
import { gate, getJson, Problem, signIn } from './api.js';
import { h, icon, notice } from './dom.js';
import { tableOf } from './table.js';

const fetching = gate(6);

function dataOf(answer) {
  const result = answer?.result?.[0];
  if (!result || !Array.isArray(result.data)) throw new Failure('data-failed', 'The answer holds no rows.');
  if (result.status !== 'success') throw new Failure('data-failed', result.error ?? `The query ended as ${result.status}.`);
  return { rows: result.data, columns: result.colnames ?? Object.keys(result.data[0] ?? {}) };
}

export class Holder {
  #turn = null;
  #drawing = null;
  #size = '';
  #data = null;

  /** tools: whether to offer the rows as a table and a retry. */
  constructor(chart, { tools, url }) {
    this.chart = chart;
    this.url = url;
    this.tools = tools;
    this.mount = h('div', { class: 'chart-body' });
    this.over = h('div', { class: 'chart-over', 'aria-live': 'polite' });
    this.element = h('section', { class: `chart-holder kind-${chart.kind}`, id: `chart-${chart.id}`, 'data-chart-id': chart.id,
      'aria-labelledby': `title-${chart.id}` }, this.#head(), h('div', { class: 'chart-frame' }, this.mount, this.over));
    this.#pend();
  }

  #head() {
    const { id, title, description } = this.chart;
    return h('header', { class: 'chart-head' }, h('h2', { id: `title-${id}` }, title),
      description && this.tools ? h('span', { class: 'hint' },
        h('button', { type: 'button', class: 'quiet tool', 'aria-label': 'About this chart', 'aria-describedby': `about-${id}` }, icon('info')),
        h('span', { class: 'hint-text', role: 'tooltip', id: `about-${id}` }, description)) : null,
      this.tools ? h('button', { type: 'button', class: 'quiet tool', 'aria-label': `Rows of ${title}`, onclick: () => this.#showRows() },
        icon('rows')) : null);
  }

  #pend() {
    this.#turn?.abort();
    this.#turn = new AbortController();
    sayHolder(this.element, 'pending');
    this.over.replaceChildren(h('div', { class: 'shimmer' }, h('span', { class: 'visually-hidden' }, 'Drawing…')));
    return this.#turn.signal;
  }

  #end(state, reason, ...content) {
    this.over.replaceChildren(...content);
    sayHolder(this.element, state, reason);
  }

  /** Pending from now on, with load() to come: what is drawn is no longer what was asked for. */
  wait() {
    this.#pend();
  }

  /** Fetches the rows anew and draws them. Never throws: the holder's state tells. */
  async load() {
    const signal = this.#pend();
    await this.#attempt(signal, async () => {
      const answer = await fetching(() => getJson(this.url(), { signal }));
      signal.throwIfAborted();
      this.#data = dataOf(answer);
      await this.#redraw(signal);
    });
  }

  /** Draws the rows that are here once more (the colours have changed). */
  async redraw() {
    if (this.element.dataset.state !== 'drawn') return;
    const signal = this.#pend();
    await this.#attempt(signal, () => this.#redraw(signal));
  }

  /** Lays the drawing out for the box's new size, when it really has one. */
  async fit() {
    if (this.element.dataset.state !== 'drawn' || this.#measure() === this.#size || !this.#drawing?.resize) return;
    this.#turn?.abort();
    this.#turn = new AbortController();
    const { signal } = this.#turn;
    sayHolder(this.element, 'pending');
    await this.#attempt(signal, async () => {
      await this.#resize();
      await this.#prove(signal);
    });
  }

  destroy() {
    this.#turn?.abort();
    this.#drawing?.destroy();
    this.#drawing = null;
  }

  #measure() {
    return `${this.mount.clientWidth}×${this.mount.clientHeight}`;
  }

  async #redraw(signal) {
    this.#drawing?.destroy();
    this.#drawing = null;
    if (this.#data.rows.length === 0) {
      await fontsFor('');
      this.#end('empty', 'no-rows: The query gave no rows.', h('p', { class: 'no-rows' }, 'No rows'));
      return;
    }
    this.#size = this.#measure();
    const stage = h('div', { class: 'stage' }); // of its own for each drawing: an older one may still be at work
    this.mount.replaceChildren(stage);
    const drawing = await draw(this.chart, this.#data, stage);
    if (signal.aborted) {
      drawing.destroy();
      signal.throwIfAborted();
    }
    this.#drawing = drawing;
    await this.#prove(signal);
  }

  async #resize() {
    this.#size = this.#measure();
    await this.#drawing.resize(this.mount.clientWidth, this.mount.clientHeight);
  }

  /** Drawn means: at the size of its box, in the document, with its fonts, and painted. */
  async #prove(signal) {
    this.over.replaceChildren();
    void this.mount.offsetHeight; // lays the text out, so that its fonts are asked for before we wait for them
    await document.fonts.ready;
    await frames(2);
    signal.throwIfAborted();
    if (!this.mount.isConnected || !this.mount.querySelector('.stage > *')) throw new Failure('draw-failed', 'The drawing left the page.');
    if (this.#drawing.resize && this.#measure() !== this.#size) {
      await this.#resize();
      await this.#prove(signal);
      return;
    }
    this.#end('drawn', '');
  }

  async #attempt(signal, work) {
    try {
      await work();
    } catch (error) {
      if (signal.aborted) return;
      this.#drawing?.destroy();
      this.#drawing = null;
      this.mount.replaceChildren();
      const failure = error instanceof Problem ? new Failure(error.passing ? UNAVAILABLE : 'data-failed', error.message) : error;
      const again = error.status === 401 ? ['Sign in', signIn] : ['Try again', () => this.load()];
      this.#end('failed', reasonOf(failure), notice('bad', 'This chart could not be drawn', failure.message,
        this.tools ? h('button', { type: 'button', onclick: again[1] }, again[0]) : null));
    }
  }

  #showRows() {
    if (this.#data === null) return;
    const dialog = h('dialog', { class: 'rows-dialog', 'aria-label': `Rows of ${this.chart.title}` },
      h('header', {}, h('h2', {}, this.chart.title),
        h('button', { type: 'button', class: 'quiet tool', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('close'))),
      h('div', { class: 'table-scroll', tabindex: 0 },
        tableOf(this.chart.kind === 'table' ? this.chart.spec : {}, this.#data, this.chart.title)));
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }
}

/** Calls fit() of each holder whose box changes its size. */
export function watchSizes(holders) {
  const byMount = new Map(holders.map((holder) => [holder.mount, holder]));
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) byMount.get(target).fit();
  });
  for (const mount of byMount.keys()) observer.observe(mount);
  return observer;
}
