// Queries over HTTP: running, stopping, looking, and the live channel of their changes.
import { getJson, postJson, problemOf, request } from './api.js';

export const ENDED = ['success', 'failed', 'stopped', 'timed_out'];
const AGAIN_MS = 3000;

/** A rison string. */
export const quoted = (text) => `'${String(text).replaceAll('!', '!!').replaceAll("'", "!'")}'`;

const rison = (text) => `q=${encodeURIComponent(text)}`;

/** The query as accepted or, of a database that runs nothing in the background, as it ended. */
export async function execute(wish) {
  const response = await postJson('/api/v1/sqllab/execute/', wish);
  if (!response.ok) {
    const body = await response.clone().json().catch(() => ({}));
    throw Object.assign(await problemOf(response), { position: body.position ?? null, query: body.query ?? null });
  }
  return (await response.json()).query;
}

export const look = (clientId) => getJson(`/api/v1/query/${encodeURIComponent(clientId)}`).then((answer) => answer.result);

export const stop = (clientId) => postJson('/api/v1/query/stop', { client_id: clientId });

const page = (key, offset, count) => getJson(`/api/v1/sqllab/results/?${rison(`(key:${quoted(key)},offset:${offset},rows:${count})`)}`);

/** These rows, all of them: an answer may end before, where they are wide. */
export async function rows(key, offset, count) {
  const first = await page(key, offset, count);
  for (let more = first; more.displayLimitReached && more.data.length && first.data.length < count;) {
    more = await page(key, offset + first.data.length, count - first.data.length);
    first.data.push(...more.data);
  }
  return first;
}

export const exportUrl = (clientId, format) => `/api/v1/sqllab/export/${encodeURIComponent(clientId)}/?format=${format}`;

/** One page of somebody's own history, newest first. */
export const history = (username, page, size) => getJson(
  `/api/v1/query/?${rison(`(page:${page},page_size:${size},filters:!((col:user,opr:eq,value:${quoted(username)})))`)}`);

export const databases = () => getJson('/api/v1/database/').then((answer) => answer.result);
export const schemas = (id) => getJson(`/api/v1/database/${id}/schemas/`).then((answer) => answer.result);
export const tables = (id, schema) => getJson(`/api/v1/database/${id}/tables/?${rison(`(schema_name:${quoted(schema)})`)}`).then((answer) => answer.result);
export const columns = (id, schema, name) => getJson(
  `/api/v1/database/${id}/table_metadata/?name=${encodeURIComponent(name)}&schema=${encodeURIComponent(schema)}`).then((answer) => answer.columns);

/** Tells each change of a query. The browser connects again by itself; where it gives up, we do. */
export function listen(onchange, onopen) {
  const source = new EventSource('/api/v1/query/events');
  source.addEventListener('query', (event) => onchange(JSON.parse(event.data)));
  source.addEventListener('open', onopen);
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(onchange, onopen), AGAIN_MS);
  });
}

/** A query as the history tells it, from one as the live channel tells it. */
export function recordOf(document) {
  return {
    id: document.queryId, client_id: document.id, sql: document.sql, status: document.state, rows: document.rows, schema: document.schema,
    database: { id: document.dbId, database_name: document.db }, results_key: document.resultsKey, error_message: document.errorMessage,
    start_time: document.startDttm, end_time: document.endDttm, user: { username: document.user }, extra: document.extra,
    progress: document.progress, limit: document.limit, position: document.extra?.position ?? null,
  };
}

export { request };
