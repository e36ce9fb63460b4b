// The tables that each overview fills: processes, queues, warm-ups, schedules, store.
import { h } from './dom.js';
import { button, cancelRender, purge, pauseSchedule, resumeSchedule, runSchedule, showLetters, stopRun } from './ops-actions.js';
import { ago, dateOf } from './times.js';

const MIB = 2 ** 20;

export const number = (value, digits = 0) => (value === null || value === undefined ? '–' : value.toLocaleString('en', { maximumFractionDigits: digits }));
export const badge = (word, kind = '') => h('span', { class: `badge ${kind}` }, word);

export function span(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds > 0 && seconds < 0.95) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 90) return `${seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

export const since = (text) => span(Math.max(0, (Date.now() - new Date(text).getTime()) / 1000));

let pressed = false; // a button that is replaced between press and release is never clicked
addEventListener('pointerdown', () => { pressed = true; }, true);
for (const event of ['pointerup', 'pointercancel']) addEventListener(event, () => { setTimeout(() => { pressed = false; }); }, true);

export const isPressed = () => pressed;

/** The place of the focus in a table, as a function that gives it back to what is there now. */
function keepFocus(table) {
  const active = document.activeElement;
  if (!table.contains(active)) return () => {};
  const at = active.closest('tr')?.rowIndex;
  return () => {
    const buttons = [...(table.rows[at]?.querySelectorAll('button') ?? [])];
    (buttons.find((one) => one.textContent === active.textContent) ?? buttons[0])?.focus({ preventScroll: true });
  };
}

/** Replaces the table's rows, unless nothing changed. */
export function fill(id, heads, rows, empty) {
  const table = document.getElementById(id);
  const head = h('thead', {}, h('tr', {}, ...heads.map(([name, kind]) => h('th', { class: kind ?? '', scope: 'col' }, name))));
  const body = h('tbody', {}, ...(rows.length ? rows : [h('tr', {}, h('td', { class: 'empty', colspan: heads.length }, empty))]));
  if (pressed || table.tBodies[0]?.outerHTML === body.outerHTML) return;
  const focus = keepFocus(table);
  table.replaceChildren(head, body);
  focus();
}

const row = (...cells) => h('tr', {}, ...cells);
const cell = (...content) => h('td', {}, ...content);
const numeric = (...content) => h('td', { class: 'number' }, ...content);

function workOf(one) {
  const work = one.details.work ?? [];
  if (!work.length) return h('span', { class: 'muted' }, one.details.leading ? 'leads' : one.service === 'scheduler' ? 'waits to lead' : 'idle');
  return h('ul', {}, ...work.map((item) => h('li', {}, `${item.what}${item.executor ? ` as ${item.executor}` : ''}, ${since(item.since)} `,
    one.service === 'renderer' ? button('Cancel', () => cancelRender(item)) : null)));
}

function browserOf(browser, whose) {
  if (!browser?.starts) return null;
  const age = browser.browser_since ? span(Date.now() / 1000 - browser.browser_since) : '–';
  const memory = browser.memory_mib ? `, ${number(browser.memory_mib)} MiB` : '';
  return h('li', {}, `${whose}: ${browser.version.replace(/^\D+/, '')}, ${age} old${memory}; ${number(browser.renders)} renders, ${number(browser.crashes)} crashes`);
}

function browsersOf({ browser, bulk_browser: bulk }) {
  return browser ? h('ul', {}, browserOf(browser, 'viewers'), browserOf(bulk, 'bulk')) : '–';
}

function processes(seen) {
  fill('processes', [['Service'], ['Host'], ['Process', 'number'], ['Version'], ['Up', 'number'], ['Memory', 'number'], ['State'], ['Current work'], ['Browsers']],
    seen.processes.map((one) => row(cell(one.service), cell(one.host), numeric(String(one.pid)), cell(one.version), numeric(since(one.started_at)),
      numeric(`${number(one.details.memory_mib)} MiB`), cell(one.is_silent ? badge(`silent for ${span(one.silent_s)}`, 'bad') : badge('alive', 'good')),
      h('td', { class: 'wide' }, workOf(one)), cell(browsersOf(one.details)))),
    'No process of ours says that it lives.');
}

function queues(seen) {
  fill('queues', [['Queue'], ['Ready', 'number'], ['In hand', 'number'], ['Consumers', 'number'], ['Oldest', 'number'], ['In, per s', 'number'], ['Out, per s', 'number'], ['Dead letters', 'number'], ['']],
    seen.queues.result.map((queue) => row(cell(h('code', {}, queue.name)), numeric(number(queue.ready)), numeric(number(queue.unacked)),
      numeric(queue.consumers === 0 ? badge('none', 'bad') : number(queue.consumers)), numeric(span(queue.oldest_age_s)),
      numeric(number(queue.published_per_s, 1)), numeric(number(queue.acked_per_s, 1)),
      numeric(queue.dead_letters ? badge(number(queue.dead_letters), 'bad') : '0'),
      cell(h('div', { class: 'row-actions' },
        queue.dead_letters ? button('Dead letters', () => showLetters(queue.name)) : null,
        queue.ready ? button('Purge', () => purge(queue), 'danger') : null)))),
    'There are no queues.');
}

function warmups(seen) {
  fill('warmups', [['Started'], ['Strategy'], ['By'], ['State'], ['Warmed', 'number'], ['Warm already', 'number'], ['Failed', 'number'], ['Skipped', 'number'], ['To do', 'number'], ['Used', 'number'], ['Useful', 'number'], ['']],
    seen.warmups.map((run) => {
      const words = run.outcomes_by_word;
      const kind = { Failed: 'bad', Done: 'good' }[run.status] ?? 'warn';
      return row(cell(ago(dateOf(run.created_at))), cell(run.strategy), cell(run.schedule ?? (run.username || run.origin)),
        cell(badge(run.status, kind), run.reason ? h('div', { class: 'fine' }, run.reason) : null),
        numeric(number(words.warmed)), numeric(number(words.already_warm)), numeric(words.failed ? badge(number(words.failed), 'bad') : '0'),
        numeric(number(words.skipped)), numeric(number(words.pending)), numeric(number(run.used)),
        numeric(run.useful_share === null ? '–' : `${Math.round(run.useful_share * 100)} %`),
        cell(['Pending', 'Running'].includes(run.status) ? button('Stop', () => stopRun(run), 'danger') : ''));
    }),
    'Nothing was warmed yet.');
}

function stateOf(schedule) {
  if (schedule.paused) return badge('paused', 'warn');
  return schedule.enabled ? badge('on', 'good') : badge('off');
}

function schedules(seen) {
  fill('schedules', [['Name'], ['Strategy'], ['When'], ['State'], ['Next'], ['Last'], ['']],
    seen.schedules.map((one) => row(cell(one.name), cell(one.strategy), cell(h('code', {}, one.cron ?? `every ${one.interval}`), ` ${one.timezone}`),
      cell(stateOf(one)), cell(one.next_fires.length ? new Date(one.next_fires[0]).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' }) : '–'),
      cell(one.last_fire ? `${ago(dateOf(one.last_fire.due_at))}: ${one.last_fire.outcome}` : 'never'),
      cell(h('div', { class: 'row-actions' }, button('Run now', () => runSchedule(one)),
        one.paused ? button('Resume', () => resumeSchedule(one)) : button('Pause', () => pauseSchedule(one)))))),
    'There are no schedules.');
}

function store(seen) {
  fill('store', [['Node'], ['State'], ['Items', 'number'], ['Size', 'number'], ['Limit', 'number'], ['Full', 'number'], ['Evictions', 'number'], ['Hit rate', 'number']],
    seen.store.map((node) => row(cell(h('code', {}, node.node)), cell(node.up ? badge('up', 'good') : badge('down', 'bad'), node.reason ? h('div', { class: 'fine' }, node.reason) : null),
      numeric(number(node.items)), numeric(`${number(node.size_bytes / MIB, 1)} MiB`), numeric(`${number(node.limit_bytes / MIB)} MiB`),
      numeric(node.limit_bytes ? `${Math.round((100 * node.size_bytes) / node.limit_bytes)} %` : '–'), numeric(number(node.evictions)),
      numeric(node.hit_ratio === null ? '–' : `${Math.round(node.hit_ratio * 100)} %`))),
    'The store has no nodes.');
}

export function showTables(seen) {
  processes(seen);
  queues(seen);
  warmups(seen);
  schedules(seen);
  store(seen);
}
