// Building DOM without HTML text: every string given here becomes text or an attribute value, never markup.

/** h('a', {class: 'x', href: '/', onclick: f}, 'text', node, …); null and false children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** The same for SVG elements. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** One of the few icons, as strokes in the current text colour. */
export function icon(name) {
  const paths = {
    refresh: ['M20 12a8 8 0 1 1-2.6-5.9', 'M20 3v5h-5'],
    info: ['M12 11v5', 'M12 7.5v.01', 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z'],
    rows: ['M4 6h16', 'M4 12h16', 'M4 18h16', 'M10 6v12'],
    close: ['M6 6l12 12', 'M18 6L6 18'],
    warning: ['M12 4l9 16H3z', 'M12 10v4', 'M12 17v.01'],
    down: ['M7 10l5 5 5-5'],
  };
  return svg('svg', { viewBox: '0 0 24 24', width: 18, height: 18, class: 'icon', 'aria-hidden': 'true' },
    ...paths[name].map((d) => svg('path', { d })));
}

/** A visible message with a heading, for the page or for a card. */
export function notice(kind, heading, detail, ...actions) {
  return h('div', { class: `notice ${kind}`, role: kind === 'bad' ? 'alert' : 'status' },
    kind === 'bad' ? icon('warning') : null,
    h('div', {}, h('strong', {}, heading), detail ? h('p', {}, detail) : null, ...actions));
}
