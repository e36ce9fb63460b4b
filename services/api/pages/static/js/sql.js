// The page /sql: write, run, watch, look at the rows.
import './header.js';
import { signIn } from './api.js';
import { h, notice } from './dom.js';
import { sayPage } from './readiness.js';
import { Editor, characters } from './sql-editor.js';
import { Grid } from './sql-grid.js';
import { History, WORDS, count, lasting } from './sql-history.js';
import * as api from './sql-queries.js';
import { Completion } from './sql-tables.js';

const FIRST_ROWS = 500;
const MOST_ROWS = 100_000; // of the choices beside Run
const TICK_MS = 200;
const NOTICE_MS = 400;
const FORMATS = { csv: 'CSV', arrow: 'Arrow', parquet: 'Parquet' };
const username = document.documentElement.dataset.user;
const draftKey = `vitrine.sql.${username}`; // of this tab: nothing of it stays in the browser when it is closed
const [databaseBox, schemaBox, limitBox, runButton, stopButton, status, messages, progress, downloads, place] = [
  'database', 'schema', 'limit', 'run', 'stop', 'status', 'notice', 'progress', 'downloads', 'grid',
].map((id) => document.getElementById(id));

let databases = [];
let current = null; // the query whose state and rows are shown: as in the history, with `offset` of a selection that ran
let grid = null;
let noticing = 0;

const editor = new Editor(document.getElementById('editor'), {
  onrun: run,
  onchange: () => {
    remember();
    clearTimeout(noticing);
    noticing = setTimeout(() => completion.notice().catch(() => {}), NOTICE_MS); // the editor does without
  },
});
const completion = new Completion(editor);
const past = new History(username, document.getElementById('history'), document.getElementById('history-more'), open);

const database = () => databases.find((one) => one.id === Number(databaseBox.value));
const isOver = (query) => api.ENDED.includes(query.status);

function remember() {
  const draft = { sql: editor.text, database: databaseBox.value, schema: schemaBox.value, limit: limitBox.value };
  sessionStorage.setItem(draftKey, JSON.stringify(draft));
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(draftKey)) ?? {};
  } catch {
    return {};
  }
}

/** Fills the list of schemas, and the words that the editor completes. */
async function chooseDatabase(schema) {
  const chosen = database();
  schemaBox.disabled = true;
  const names = await api.schemas(chosen.id);
  if (chosen !== database()) return;
  schemaBox.replaceChildren(...names.map((name) => h('option', { value: name }, name)));
  const usual = names.includes(chosen.default_schema) ? chosen.default_schema : names[0];
  schemaBox.value = names.includes(schema) ? schema : usual;
  schemaBox.disabled = names.length < 2;
  runButton.disabled = false;
  completion.choose(chosen, schemaBox.value).catch(() => {}); // the editor does without
}

function show(kind, heading, detail, ...actions) {
  messages.replaceChildren(notice(kind, heading, detail, ...actions));
}

function problem(heading, error) {
  if (error.status === 401) signIn();
  else show('bad', heading, error.message);
}

/** Leaves nothing of an earlier query to be seen. */
function clear() {
  grid?.close();
  grid = null;
  messages.replaceChildren();
  downloads.hidden = true;
  progress.hidden = true;
  editor.mark(null);
}

async function run() {
  const chosen = database();
  const { text, offset } = editor.chosen;
  if (!chosen || runButton.disabled || !text.trim()) return;
  clear();
  const clientId = crypto.getRandomValues(new Uint32Array(3)).reduce((id, part) => id + part.toString(36).padStart(7, '0'), '');
  const place_ = { id: chosen.id, database_name: chosen.database_name };
  current = { client_id: clientId, sql: text, offset: characters(editor.text, offset), status: 'pending', database: place_, schema: schemaBox.value,
    start_time: Date.now(), user: { username }, rows: null, extra: {}, results_key: null };
  past.chosen = clientId;
  state();
  const mine = current;
  try {
    const wish = { database_id: chosen.id, schema: schemaBox.value, sql: text, client_id: clientId, queryLimit: Number(limitBox.value), runAsync: chosen.allow_run_async };
    take(api.recordOf(await api.execute(wish)));
  } catch (error) {
    if (error.query) take(api.recordOf(error.query));
    else if (current === mine) {
      Object.assign(current, { status: 'failed', error_message: error.message, position: error.position, end_time: Date.now() });
      if (error.status === 401) signIn();
      ended();
    }
  }
}

/** What became of a query, from wherever it is told. */
function take(query) {
  past.put(query);
  if (!current || query.client_id !== current.client_id || isOver(current)) return;
  current = { ...query, offset: current.offset };
  if (isOver(current)) ended();
  else state();
}

/** The line above the rows, and what may be pressed. */
function state() {
  const over = !current || isOver(current);
  runButton.hidden = !over;
  stopButton.hidden = over;
  progress.hidden = over;
  if (!current) return;
  const ms = (over ? current.end_time : Date.now()) - current.start_time;
  const statements = current.extra?.progress && !over ? current.extra.progress : '';
  status.dataset.state = current.status;
  status.textContent = [WORDS[current.status] ?? current.status, over && current.status !== 'success' ? '' : count(current.rows), statements, lasting(ms)].filter(Boolean).join(' · ');
  if (current.progress) progress.value = current.progress;
  else progress.removeAttribute('value');
}

function ended() {
  state();
  location.hash = `query=${encodeURIComponent(current.client_id)}`;
  past.choose(current.client_id);
  if (current.status === 'success') showRows(current);
  else if (current.status === 'failed' || current.status === 'timed_out') showError(current);
}

function showError(query) {
  const at = query.position ?? query.extra?.position ?? query.extra?.errors?.[0]?.extra?.position;
  const message = query.error_message || 'The query failed.';
  if (!at || query.offset === null) {
    show('bad', WORDS[query.status], message);
    return;
  }
  const mark = () => editor.mark({ from: query.offset + at.start, to: query.offset + at.end, message });
  const line = query.offset ? '' : `line ${at.line}, column ${at.column}`;
  show('bad', WORDS[query.status], message, h('button', { type: 'button', id: 'place', onclick: () => { mark(); editor.focus(); } }, `Show its place${line && `: ${line}`}`));
  mark();
}

async function showRows(query) {
  if (!query.results_key) {
    show('', 'Done', query.rows === null ? 'It has no rows.' : `${count(query.rows)} written.`);
    return;
  }
  try {
    const first = await api.rows(query.results_key, 0, FIRST_ROWS);
    if (query !== current) return;
    if (query.extra?.truncated) show('', `These are the first ${count(query.rows)}`, `There are more; ${query.rows < MOST_ROWS ? 'ask for more rows' : 'filter or aggregate'} to see them.`);
    grid = new Grid(place, {
      columns: first.columns, count: query.rows ?? first.data.length, first: first.data,
      fetchPage: (offset, rows) => api.rows(query.results_key, offset, rows).then((page) => page.data),
      onproblem: (error) => problem('Some rows could not be read', error),
    });
    offer(query);
  } catch (error) {
    if (query !== current) return;
    if (error.status === 410) show('', 'Its rows are gone', 'They were kept for a while only. Run the query again to see them.');
    else problem('The rows could not be read', error);
  }
}

function offer(query) {
  downloads.replaceChildren(
    h('button', { type: 'button', class: 'quiet', id: 'copy', onclick: copy }, 'Copy'),
    h('span', { class: 'fine' }, 'Download'),
    ...Object.entries(FORMATS).map(([format, name]) => h('a', { class: 'button quiet', href: api.exportUrl(query.client_id, format), download: '' }, name)));
  downloads.hidden = false;
}

async function copy() {
  const button = document.getElementById('copy');
  try {
    const { text, rows } = await grid.text();
    await navigator.clipboard.writeText(text);
    button.textContent = `Copied ${count(rows)}`;
  } catch (error) {
    problem('Nothing was copied', error);
  }
}

/** A query of the history: its text, its database, and its rows as long as they are kept. */
async function open(query) {
  clear();
  editor.text = query.sql;
  current = { ...query, offset: 0 };
  past.choose(query.client_id);
  if (databases.some((one) => one.id === query.database?.id)) {
    databaseBox.value = query.database.id;
    chooseDatabase(query.schema).catch((error) => problem('The schemas could not be listed', error));
  }
  if (isOver(current)) ended();
  else state();
}

/** What happened while nobody listened. */
async function catchUp() {
  if (current && !isOver(current) && past.entries.has(current.client_id)) take(await api.look(current.client_id));
}

async function start() {
  try {
    databases = await api.databases();
    await past.load();
    const draft = remembered();
    databaseBox.replaceChildren(...databases.map((one) => h('option', { value: one.id }, one.database_name)));
    if (!databases.length) {
      status.textContent = '';
      show('', 'No database to query', 'An administrator can grant one of your roles a database, or a dataset of it.');
    } else {
      databaseBox.disabled = databases.length < 2;
      if (databases.some((one) => String(one.id) === draft.database)) databaseBox.value = draft.database;
      if (draft.limit) limitBox.value = draft.limit;
      editor.text = draft.sql ?? '';
      status.textContent = 'Ctrl+Enter runs the query, or what is selected of it.';
      await chooseDatabase(draft.schema);
      await reopen();
    }
    api.listen((document_) => take(api.recordOf(document_)), () => catchUp().catch(() => {})); // the next change tells
    sayPage('laid-out');
  } catch (error) {
    status.textContent = '';
    problem('The databases could not be listed', error);
    sayPage('failed', `${error.code ?? 'script-failed'}: ${error.message}`);
  }
}

/** The query that the address names, as after a reload. */
async function reopen() {
  const clientId = new URLSearchParams(location.hash.slice(1)).get('query');
  if (!clientId) return;
  try {
    await open(await api.look(clientId));
  } catch (error) {
    if (error.status === 404) show('', 'There is no such query', 'It is not in your history, or it was deleted.');
    else problem('The query could not be opened', error);
  }
}

document.getElementById('tools').addEventListener('submit', (event) => {
  event.preventDefault();
  run();
});
stopButton.addEventListener('click', () => api.stop(current.client_id).catch((error) => problem('The query could not be stopped', error)));
databaseBox.addEventListener('change', () => {
  remember();
  chooseDatabase().catch((error) => problem('The schemas could not be listed', error));
});
schemaBox.addEventListener('change', () => {
  remember();
  completion.choose(database(), schemaBox.value).catch(() => {}); // the editor does without
});
limitBox.addEventListener('change', remember);
setInterval(() => { if (current && !isOver(current)) state(); }, TICK_MS);
start();
