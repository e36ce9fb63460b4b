// Vega's tooltip as plain text in one box of the page; nothing in it is ever read as HTML.
import { h } from './dom.js';

let box = null;

function rowsOf(value) {
  if (value === null || typeof value !== 'object') return [['', String(value)]];
  return Object.entries(value).map(([name, text]) => [name, typeof text === 'object' ? JSON.stringify(text) : String(text)]);
}

function place(event) {
  const gap = 14;
  const { width, height } = box.getBoundingClientRect();
  const x = Math.min(event.clientX + gap, innerWidth - width - 4);
  const y = event.clientY + gap + height > innerHeight ? event.clientY - gap - height : event.clientY + gap;
  box.style.transform = `translate(${Math.max(4, Math.round(x))}px, ${Math.max(4, Math.round(y))}px)`;
}

/** The handler for view.tooltip(): (handler, event, item, value). */
export function tooltip(handler, event, item, value) {
  if (value === null || value === undefined || value === '') {
    if (box) box.hidden = true;
    return;
  }
  if (!box) {
    box = h('div', { class: 'vega-tooltip', 'aria-hidden': 'true' });
    document.body.append(box);
  }
  const rows = rowsOf(value).slice(0, 20);
  box.replaceChildren(h('dl', {}, rows.map(([name, text]) => [name ? h('dt', {}, name) : null, h('dd', {}, text)]).flat()));
  box.hidden = false;
  place(event);
}
