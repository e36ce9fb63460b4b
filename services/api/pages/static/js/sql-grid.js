// A table of very many rows, of which only those in sight exist: they are fetched by pages as one scrolls.
import { h } from './dom.js';

const ROW_PX = 29;
const PAGE = 500;
const MARGIN = 12; // rows above and below those in sight
const KEPT_PAGES = 80;
const SETTLED_MS = 60; // pages that somebody only scrolls past are not fetched
const MOST_CELLS = 500_000; // of one copy
const NUMERIC = 0;

/** A value as text of one line; null is null. */
export function plain(value) {
  if (value === null || value === undefined) return null;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** fetchPage(offset, rows) → rows as objects; onproblem(error) is told what could not be fetched. */
export class Grid {
  constructor(place, { columns, count, first, fetchPage, onproblem }) {
    Object.assign(this, { columns, count, fetchPage, onproblem });
    this.pages = new Map([[0, first.slice(0, PAGE)]]);
    this.asked = new Map();
    this.range = null;
    this.widths = columns.map((column) => widthOf(column.name, first.slice(0, 100).map((row) => plain(row[column.name]))));
    this.head = h('div', { class: 'grid-row grid-head', role: 'row', 'aria-rowindex': 1 },
      h('div', { class: 'grid-number', role: 'columnheader' }),
      columns.map((column) => h('div', { class: cellClass(column), role: 'columnheader', title: `${column.name} · ${column.type}` },
        h('span', {}, column.name), h('small', {}, column.type.toLowerCase()))));
    this.body = h('div', { class: 'grid-body', role: 'rowgroup' });
    this.element = h('div', {
      class: 'grid', role: 'grid', tabindex: '0', 'aria-label': 'Rows of the result', 'aria-multiselectable': 'true',
      'aria-rowcount': count + 1, 'aria-colcount': columns.length + 1,
      onscroll: () => this.#later(), onpointerdown: (event) => this.#press(event), onpointermove: (event) => this.#drag(event),
      onkeydown: (event) => this.#key(event),
    }, h('div', { class: 'grid-top', role: 'rowgroup' }, this.head), this.body);
    this.element.addEventListener('copy', (event) => this.#copy(event));
    this.element.style.setProperty('--columns', `${Math.max(44, String(count).length * 9 + 22)}px ${this.widths.map((px) => `${px}px`).join(' ')} 1fr`);
    this.body.style.height = `${count * ROW_PX}px`;
    place.replaceChildren(this.element);
    this.watching = new ResizeObserver(() => this.#later());
    this.watching.observe(this.element);
    this.draw();
  }

  close() {
    this.watching.disconnect();
    this.element.remove();
  }

  get sight() {
    const height = this.element.clientHeight - this.head.offsetHeight;
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW_PX) - MARGIN);
    return [first, Math.min(this.count, first + Math.ceil(Math.max(height, 0) / ROW_PX) + 2 * MARGIN)];
  }

  draw() {
    const [from, to] = this.sight;
    const rows = [];
    for (let index = from; index < to; index += 1) rows.push(this.#row(index));
    this.body.replaceChildren(...rows);
    clearTimeout(this.settling);
    const missing = [];
    for (let page = Math.floor(from / PAGE); page * PAGE < to; page += 1) if (!this.pages.has(page)) missing.push(page);
    if (missing.length) this.settling = setTimeout(() => missing.forEach((page) => this.load(page).then(() => this.#later(), this.onproblem)), SETTLED_MS);
  }

  /** One fetch for each page, whoever asks for it. */
  load(page) {
    if (this.pages.has(page)) return Promise.resolve(this.pages.get(page));
    if (!this.asked.has(page)) {
      this.asked.set(page, this.fetchPage(page * PAGE, Math.min(PAGE, this.count - page * PAGE)).then((rows) => {
        this.pages.set(page, rows);
        for (const old of this.pages.keys()) if (this.pages.size > KEPT_PAGES && old !== page) this.pages.delete(old);
        return rows;
      }).finally(() => this.asked.delete(page)));
    }
    return this.asked.get(page);
  }

  /** The chosen cells as lines with tabs, or with the names of columns all that may be copied at once. */
  async text() {
    const all = { top: 0, left: 0, bottom: this.count - 1, right: this.columns.length - 1 };
    const box = this.range && !this.range.isCell ? this.#box() : all;
    const most = Math.max(1, Math.floor(MOST_CELLS / this.columns.length));
    box.bottom = Math.min(box.bottom, box.top + most - 1);
    const lines = [this.columns.slice(box.left, box.right + 1).map((column) => column.name).join('\t')];
    for (let page = Math.floor(box.top / PAGE); page * PAGE <= box.bottom; page += 1) {
      const rows = await this.load(page);
      rows.forEach((row, index) => {
        if (page * PAGE + index >= box.top && page * PAGE + index <= box.bottom) lines.push(this.#line(row, box));
      });
    }
    return { text: lines.join('\n'), rows: lines.length - 1 };
  }

  #at(index) {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  #row(index) {
    const row = this.#at(index);
    const box = this.range ? this.#box() : null;
    const element = h('div', { class: row ? 'grid-row' : 'grid-row waiting', role: 'row', 'aria-rowindex': index + 2 },
      h('div', { class: 'grid-number', role: 'rowheader' }, (index + 1).toLocaleString('en')),
      this.columns.map((column, place) => this.#cell(row, column, index, place, box)));
    element.style.transform = `translateY(${index * ROW_PX}px)`;
    return element;
  }

  #cell(row, column, index, place, box) {
    const value = row ? plain(row[column.name]) : '';
    const chosen = box && index >= box.top && index <= box.bottom && place >= box.left && place <= box.right;
    return h('div', {
      class: `${cellClass(column)}${value === null ? ' null' : ''}`, role: 'gridcell', 'data-row': index, 'data-column': place,
      'aria-selected': chosen ? 'true' : null, title: value?.length > 30 ? value.slice(0, 2000) : null,
    }, value === null ? 'NULL' : value.slice(0, 1000).replaceAll(/\s/g, ' '));
  }

  #later() {
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => this.draw());
  }

  #box() {
    const [[row, column], [otherRow, otherColumn]] = [this.range.from, this.range.to];
    return { top: Math.min(row, otherRow), bottom: Math.max(row, otherRow), left: Math.min(column, otherColumn), right: Math.max(column, otherColumn) };
  }

  #choose(cell, extend) {
    this.range = extend && this.range ? { from: this.range.from, to: cell } : { from: cell, to: cell };
    this.range.isCell = this.range.from[0] === this.range.to[0] && this.range.from[1] === this.range.to[1];
    this.#later();
  }

  #press(event) {
    const cell = event.target.closest('[data-row]');
    if (cell && event.button === 0) this.#choose([Number(cell.dataset.row), Number(cell.dataset.column)], event.shiftKey);
  }

  #drag(event) {
    const cell = event.buttons === 1 && event.target.closest('[data-row]');
    if (cell && this.range) this.#choose([Number(cell.dataset.row), Number(cell.dataset.column)], true);
  }

  #key(event) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const [row, column] = this.range?.to ?? [-1, 0];
    const cell = [clamp(row + step[0], this.count - 1), clamp(column + step[1], this.columns.length - 1)];
    this.#choose(cell, event.shiftKey);
    const top = cell[0] * ROW_PX;
    const lowest = top + ROW_PX + this.head.offsetHeight - this.element.clientHeight;
    if (this.element.scrollTop > top) this.element.scrollTop = top;
    else if (this.element.scrollTop < lowest) this.element.scrollTop = lowest;
  }

  #copy(event) {
    if (!this.range) return;
    const box = this.#box();
    const lines = [];
    for (let index = box.top; index <= box.bottom; index += 1) if (this.#at(index)) lines.push(this.#line(this.#at(index), box));
    event.preventDefault();
    event.clipboardData.setData('text/plain', lines.join('\n'));
  }

  #line(row, box) {
    return this.columns.slice(box.left, box.right + 1).map((column) => (plain(row[column.name]) ?? '').replaceAll(/[\t\n\r]+/g, ' ')).join('\t');
  }
}

function cellClass(column) {
  return column.type_generic === NUMERIC ? 'grid-cell number' : 'grid-cell';
}

function widthOf(name, values) {
  const longest = Math.max(name.length + 8, ...values.map((value) => (value ?? 'NULL').length));
  return Math.min(Math.max(longest * 7.4 + 26, 84), 380);
}

const clamp = (value, most) => Math.max(0, Math.min(value, most));
