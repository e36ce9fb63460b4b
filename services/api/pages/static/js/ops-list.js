// A list that is searched by a form and shown page by page; a line opens to show all of it.
import { getJson } from './api.js';
import { h, svg } from './dom.js';
import { isPressed, span } from './ops-tables.js';

const PAGE = 25;

export class List {
  /** `name`: of the table, and of its route; the form, count and button beside it are `find-`, `found-` and `more-`. */
  constructor({ name, heads, none, lineOf }) {
    Object.assign(this, { name, heads, none, lineOf, page: 0, turns: 0, loading: false });
    [this.table, this.form, this.found, this.more] = ['', 'find-', 'found-', 'more-'].map((prefix) => document.getElementById(prefix + name));
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.show();
    });
    this.more.addEventListener('click', () => {
      if (!this.loading) this.turn(this.page + 1); // else it would follow lines that are not there yet
    });
  }

  show() {
    return this.turn(0);
  }

  /** To a page of what the form says. An answer to what was asked before comes too late. */
  async turn(page) {
    const turns = this.turns + 1;
    const before = this.page;
    Object.assign(this, { page, turns, loading: true });
    const came = await this.load(() => turns === this.turns);
    if (turns === this.turns) Object.assign(this, { page: came ? page : before, loading: false });
  }

  /** Again, if somebody looks at the newest ones, has opened none, and is not about to press or to copy something there. */
  renew() {
    const { turns } = this;
    const fits = () => turns === this.turns && !this.loading && this.page === 0 && !this.isBusy(); // now, and when it has come
    return fits() ? this.load(fits) : null;
  }

  isBusy() {
    const chosen = getSelection();
    return isPressed() || this.table.contains(document.activeElement) || (!chosen.isCollapsed && chosen.containsNode(this.table, true))
      || this.table.querySelector('.opened') !== null;
  }

  /** Whether it came, and fitted. */
  async load(fits) {
    const words = [...new FormData(this.form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
    const query = new URLSearchParams([...words, ['page', this.page], ['page_size', PAGE]]);
    try {
      const { count, result } = await getJson(`/api/v1/ops/${this.name}?${query}`);
      if (!fits()) return false;
      if (this.page === 0) {
        const head = h('tr', {}, ...this.heads.map(([name, kind]) => h('th', { class: kind ?? '', scope: 'col' }, name)));
        const none = h('tr', {}, h('td', { class: 'empty', colspan: this.heads.length }, this.none));
        this.table.replaceChildren(h('thead', {}, head), h('tbody', {}, ...(count ? [] : [none])));
      }
      this.table.tBodies[0].append(...result.map(this.lineOf));
      const shown = this.page * PAGE + result.length;
      this.found.textContent = count ? `${shown} of ${count}` : '';
      this.more.hidden = shown >= count;
      return true;
    } catch (error) {
      if (fits()) this.found.textContent = error.message;
      return false;
    }
  }
}

/** A button in a line that shows what `path` tells below it, and takes it away again. */
export function opener(words, line, path, detail) {
  const button = h('button', { type: 'button', class: 'link', 'aria-expanded': 'false' }, words);
  button.addEventListener('click', async () => {
    const open = line.nextElementSibling?.classList.contains('opened');
    button.setAttribute('aria-expanded', String(!open));
    if (open) {
      line.nextElementSibling.remove();
      return;
    }
    const place = h('td', { colspan: line.cells.length }, h('p', { class: 'fine' }, 'Loading…'));
    line.after(h('tr', { class: 'opened' }, place));
    try {
      const { result } = await getJson(path);
      place.replaceChildren(detail(result));
    } catch (error) {
      place.replaceChildren(h('p', {}, error.message));
    }
  });
  return button;
}

/** Each step a bar that begins where the one before ended. */
export function waterfall(timeline) {
  const [row, left, width] = [22, 86, 560];
  const total = Math.max(0.001, timeline.reduce((sum, step) => sum + step.seconds, 0));
  let at = 0;
  const bars = timeline.flatMap((step, i) => {
    const x = left + (at / total) * (width - left - 70);
    const wide = Math.max(1.5, (step.seconds / total) * (width - left - 70));
    at += step.seconds;
    const y = i * row;
    return [
      svg('text', { x: 0, y: y + 14 }, step.step.replace('_', ' ')),
      svg('rect', { x, y: y + 3, width: wide, height: row - 8, rx: 3, class: step.step }),
      svg('text', { x: x + wide + 6, y: y + 14, class: 'seconds' }, span(step.seconds)),
    ];
  });
  const told = timeline.map((step) => `${step.step} ${span(step.seconds)}`).join(', ');
  return svg('svg', { class: 'waterfall', viewBox: `0 0 ${width} ${Math.max(row, timeline.length * row)}`, role: 'img', 'aria-label': `Steps: ${told}` }, ...bars);
}
