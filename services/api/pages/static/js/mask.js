// The data mask: which filters are set to what. Pure functions over the state's dataMask and the dashboard's filters.
import { Failure } from './readiness.js';

const isScalar = (value) => ['string', 'number', 'boolean'].includes(typeof value);
const isBound = (value) => value === null || Number.isFinite(value) || /^\d{4}-\d{2}-\d{2}/.test(value);

function refuse(message) {
  throw new Failure('invalid-state', message);
}

/** The value of one filter as the page keeps it: a list, a [min, max] pair, or null for "not set". */
function valueOf(filter, raw) {
  if (raw === null || raw === undefined) return null;
  if (!Array.isArray(raw)) refuse(`The value of the filter “${filter.id}” is not a list.`);
  if (filter.type === 'range') {
    if (raw.length !== 2 || !raw.every(isBound)) refuse(`The filter “${filter.id}” needs [min, max].`);
    return raw.every((bound) => bound === null) ? null : raw;
  }
  if (!raw.every(isScalar)) refuse(`The filter “${filter.id}” has a value that is neither text nor number.`);
  if (!filter.multiple && raw.length > 1) refuse(`The filter “${filter.id}” takes one value only.`);
  return raw.length === 0 ? null : raw;
}

/** Map of filter id → value, of every filter: what the state says, else the filter's default. */
export function valuesOf(dataMask, filters) {
  const unknown = Object.keys(dataMask).find((id) => !filters.some((filter) => filter.id === id));
  if (unknown !== undefined) refuse(`There is no filter “${unknown}” on this dashboard.`);
  return new Map(filters.map((filter) => {
    const entry = dataMask[filter.id];
    if (entry === undefined) return [filter.id, valueOf(filter, filter.default)];
    if (entry === null || typeof entry !== 'object') refuse(`The mask of “${filter.id}” is not an object.`);
    return [filter.id, valueOf(filter, entry.filterState?.value)];
  }));
}

/** The dataMask of those values: the filters that are set, and those cleared against their default. */
export function maskOf(values, filters) {
  const mask = {};
  for (const filter of filters) {
    const value = values.get(filter.id);
    const cleared = value === null && valueOf(filter, filter.default) !== null;
    if (value !== null || cleared) mask[filter.id] = { filterState: { value } };
  }
  return mask;
}

/** The address of a chart's rows under a mask. */
export function dataUrl(chartId, dashboardId, mask) {
  const query = new URLSearchParams();
  if (dashboardId !== null) query.set('dashboard_id', String(dashboardId));
  if (Object.keys(mask).length > 0) query.set('data_mask', JSON.stringify(mask));
  const text = query.toString();
  return `/api/v1/chart/${encodeURIComponent(chartId)}/data/${text ? `?${text}` : ''}`;
}
