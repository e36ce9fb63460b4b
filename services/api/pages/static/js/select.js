// A choice of one or several values: a button that opens a searchable list of real checkboxes or radio buttons.
import { h, icon } from './dom.js';

let count = 0;

export class Select {
  #chosen = [];
  #options = [];

  constructor({ label, multiple, onchange }) {
    this.multiple = multiple;
    this.onchange = onchange;
    this.name = `choice-${count += 1}`;
    this.list = h('div', { class: 'choices', role: 'group', 'aria-label': label });
    this.search = h('input', { type: 'search', placeholder: 'Search', 'aria-label': `Search ${label}`, oninput: () => this.#list() });
    // Focusable, so that a press on a label's words keeps the focus inside; else it would go to <main>, and close this.
    this.panel = h('div', { class: 'choice-panel', id: this.name, tabindex: -1, hidden: true }, this.search, this.list,
      h('div', { class: 'choice-foot' }, h('button', { type: 'button', class: 'quiet', onclick: () => this.#choose([]) }, 'Clear')));
    this.value = h('span', { class: 'choice-value' }, 'All');
    this.button = h('button', { type: 'button', class: 'choice-button', 'aria-expanded': 'false', 'aria-controls': this.name,
      onclick: () => this.#toggle(this.panel.hidden) }, h('span', { class: 'visually-hidden' }, `${label}: `), this.value, icon('down'));
    this.element = h('div', { class: 'choice' }, this.button, this.panel);
    this.element.addEventListener('keydown', (event) => this.#key(event));
    this.element.addEventListener('focusout', (event) => {
      if (event.relatedTarget && !this.element.contains(event.relatedTarget)) this.#toggle(false);
    });
    document.addEventListener('pointerdown', (event) => {
      if (!this.element.contains(event.target)) this.#toggle(false);
    });
  }

  setOptions(options) {
    this.#options = options;
    this.search.hidden = options.length < 8;
    this.#list();
  }

  /** Shows a value (a list, or null) without telling anyone. */
  set(value) {
    this.#chosen = value ?? [];
    const [first, ...others] = this.#chosen;
    this.value.textContent = first === undefined ? 'All' : others.length ? `${first} and ${others.length} more` : String(first);
    this.button.classList.toggle('is-set', first !== undefined);
    this.#list();
  }

  #toggle(open) {
    if (this.panel.hidden !== open) return;
    this.panel.hidden = !open;
    this.button.setAttribute('aria-expanded', String(open));
    if (open) (this.search.hidden ? this.list.querySelector('input') : this.search)?.focus();
  }

  #key(event) {
    if (event.key === 'Escape' && !this.panel.hidden) {
      this.#toggle(false);
      this.button.focus();
    } else if (event.key === 'Enter' && event.target.matches('input')) event.preventDefault();
  }

  #list() {
    if (this.list.contains(document.activeElement)) return this.#check();
    const text = this.search.value.trim().toLowerCase();
    const found = this.#options.filter((option) => String(option).toLowerCase().includes(text)).slice(0, 500);
    this.list.replaceChildren(...found.map((option) => {
      const box = h('input', { type: this.multiple ? 'checkbox' : 'radio', name: this.name, onchange: () => this.#pick(option, box.checked) });
      box.option = option;
      return h('label', {}, box, h('span', {}, String(option)));
    }));
    if (found.length === 0) this.list.append(h('p', { class: 'fine' }, 'Nothing found'));
    return this.#check();
  }

  #check() {
    for (const box of this.list.querySelectorAll('input')) box.checked = this.#chosen.includes(box.option);
  }

  #pick(option, on) {
    if (!this.multiple) this.#choose([option]);
    else this.#choose(on ? [...this.#chosen, option] : this.#chosen.filter((other) => other !== option));
  }

  #choose(chosen) {
    this.set(chosen);
    this.onchange(chosen.length ? chosen : null);
  }
}
