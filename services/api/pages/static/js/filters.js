// The filter bar: one control per native filter of the dashboard.
import { h, notice } from './dom.js';
import { Select } from './select.js';

/** Two fields, from and to, of numbers or of dates (the gateway's bounds say which); an empty one is open. */
class Range {
  constructor({ label, onchange }) {
    const field = (name) => h('input', { type: 'number', step: 'any', 'aria-label': `${label}, ${name}`, onchange: () => onchange(this.#value()) });
    this.from = field('from');
    this.to = field('to');
    this.element = h('div', { class: 'range' }, this.from, h('span', { 'aria-hidden': 'true' }, '–'), this.to);
  }

  setOptions({ min, max }) {
    const isDate = typeof min === 'string';
    for (const input of [this.from, this.to]) {
      const { value } = input;
      input.type = isDate ? 'date' : 'number';
      Object.assign(input, { min: isDate ? min.slice(0, 10) : min, max: isDate ? max.slice(0, 10) : max, value: value || input.dataset.value || '' });
    }
    this.element.classList.toggle('dates', isDate);
    this.from.placeholder = String(min);
    this.to.placeholder = String(max);
  }

  set(value) {
    [this.from, this.to].forEach((input, i) => {
      input.dataset.value = String(value?.[i] ?? '').slice(0, value && typeof value[i] === 'string' ? 10 : undefined); // until its type is known
      input.value = input.dataset.value;
    });
  }

  #value() {
    const read = (input) => (input.type === 'date' ? input.value || null : Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : null);
    const bounds = [this.from, this.to].map(read);
    return bounds.every((bound) => bound === null) ? null : bounds;
  }
}

export class FilterBar {
  /** onchange(id, value) when the reader sets a filter. */
  constructor(form, filters, onchange) {
    this.form = form;
    this.controls = new Map(filters.map((filter) => {
      const options = { label: filter.title, multiple: filter.multiple, onchange: (value) => onchange(filter.id, value) };
      return [filter.id, filter.type === 'range' ? new Range(options) : new Select(options)];
    }));
    form.hidden = filters.length === 0;
    form.addEventListener('submit', (event) => event.preventDefault());
    form.replaceChildren(...filters.map((filter) => h('div', { class: 'filter' },
      h('span', { class: 'filter-label', 'aria-hidden': 'true' }, filter.title), this.controls.get(filter.id).element)));
  }

  show(values) {
    for (const [id, control] of this.controls) control.set(values.get(id) ?? null);
  }

  /** Fills the controls with what the gateway offers: [{id, options} | {id, min, max}]. */
  offer(result) {
    for (const entry of result) this.controls.get(entry.id)?.setOptions(entry.options ?? entry);
  }

  fail(message) {
    this.form.append(notice('bad', 'The choices of the filters could not be loaded', message));
  }
}
