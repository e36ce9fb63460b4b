// A table of rows. spec: {columns: [{field, title?, format?, align?, bar?}], page_rows?}.
// `format` is a d3 number format, or a d3 time format when it has a %d-like letter.
import { h } from './dom.js';

const MOST_ROWS = 1000; // more is no table that anybody reads; `page_rows` of a spec may say fewer
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

/** A value as text: with the format when it is given and fits, else as people write it. */
export function formatted(value, format) {
  if (value === null || value === undefined) return '–';
  const locale = vega.defaultLocale();
  if (format && /%[A-Za-z]/.test(format)) return locale.timeFormat(format)(new Date(value));
  if (format && isNumber(value)) return locale.format(format)(value);
  if (isNumber(value)) return Number.isInteger(value) && Math.abs(value) < 10000 ? String(value) : locale.format(',.6~g')(value);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function columnsOf(spec, data) {
  const wanted = spec.columns?.length ? spec.columns : data.columns.map((field) => ({ field }));
  return wanted.map((column) => {
    const { field } = column;
    const values = data.rows.map((row) => row[field]).filter((value) => value !== null && value !== undefined);
    const numeric = values.length > 0 && values.every(isNumber);
    return {
      field,
      title: column.title ?? field.replaceAll('_', ' ').replace(/^./, (c) => c.toUpperCase()),
      format: column.format,
      align: column.align ?? (numeric ? 'right' : 'left'),
      most: column.bar && numeric ? Math.max(...values.map(Math.abs)) : 0,
    };
  });
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  return isNumber(a) && isNumber(b) ? a - b : String(a).localeCompare(String(b));
}

function cell(column, row) {
  const value = row[column.field];
  const isDate = typeof value === 'string' && /^\d{4}-\d{2}-\d{2}/.test(value);
  const td = h('td', { class: column.align === 'right' ? 'number' : isDate ? 'date' : '' });
  const text = formatted(value, column.format);
  if (column.most > 0 && isNumber(value)) {
    const bar = h('span', { class: 'bar-fill', 'aria-hidden': 'true' });
    bar.style.width = `${(100 * Math.abs(value)) / column.most}%`;
    td.append(h('span', { class: 'bar-cell' }, bar, h('span', {}, text)));
  } else td.append(text);
  return td;
}

/** The table element of those rows; its headings sort. */
export function tableOf(spec, data, caption) {
  const columns = columnsOf(spec, data);
  const most = Math.min(spec.page_rows ?? MOST_ROWS, MOST_ROWS);
  const body = h('tbody');
  const headings = columns.map((column) => h('th', { scope: 'col', class: column.align === 'right' ? 'number' : '' },
    h('button', { type: 'button', onclick: () => sort(column.field) }, column.title)));
  let order = { field: null, sign: 1 };

  function fill(rows) {
    body.replaceChildren(...rows.slice(0, most).map((row) => h('tr', {}, columns.map((column) => cell(column, row)))));
  }
  function sort(field, sign = order.field === field ? -order.sign : 1) {
    order = { field, sign };
    headings.forEach((th, i) => {
      if (columns[i].field === field) th.setAttribute('aria-sort', sign > 0 ? 'ascending' : 'descending');
      else th.removeAttribute('aria-sort');
    });
    fill(data.rows.toSorted((a, b) => sign * compare(a[field], b[field])));
  }

  fill(data.rows);
  return h('table', { class: 'rows' }, h('caption', { class: 'visually-hidden' }, caption),
    h('thead', {}, h('tr', {}, headings)), body);
}

/** In a picture nobody can scroll: rows that do not fit are counted instead of cut. */
function endOnWholeRow(scroller) {
  const rows = [...scroller.querySelectorAll('tbody tr')];
  const end = scroller.getBoundingClientRect().bottom - 30; // room for the line below
  const cut = rows.findIndex((row) => row.getBoundingClientRect().bottom > end);
  if (cut < 1 || scroller.scrollHeight <= scroller.clientHeight) return;
  for (const row of rows.slice(cut)) row.hidden = true;
  scroller.append(h('p', { class: 'fine' }, `… and ${rows.length - cut} more rows`));
}

export async function drawTable(chart, data, mount) {
  const scroller = h('div', { class: 'table-scroll', tabindex: 0, role: 'region', 'aria-label': `${chart.title}, table` },
    tableOf(chart.spec ?? {}, data, chart.title));
  mount.replaceChildren(scroller);
  if (document.body.classList.contains('standalone')) endOnWholeRow(scroller);
  const most = Math.min(chart.spec?.page_rows ?? MOST_ROWS, MOST_ROWS);
  if (data.rows.length > most) {
    scroller.append(h('p', { class: 'fine' }, `The first ${most} of ${formatted(data.rows.length, ',')} rows.`));
  }
  return { destroy: () => mount.replaceChildren() };
}
