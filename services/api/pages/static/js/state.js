// View state in the URL fragment: #state=<encodeURIComponent(JSON)>. Pure but for its two ends.
// A state that cannot be honoured whole is an error: a picture of half a state would be a wrong picture.
import { Failure } from './readiness.js';

const KEYS = ['dataMask', 'activeTabs', 'anchor', 'urlParams'];
const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
const isText = (value) => typeof value === 'string';
const isPair = (value) => Array.isArray(value) && value.length === 2 && value.every(isText);

function refuse(message) {
  throw new Failure('invalid-state', message);
}

/** The state that a fragment (with or without '#') asks for; throws a Failure when it asks for nonsense. */
function parseState(fragment) {
  const text = new Map(fragment.replace(/^#/, '').split('&').map((part) => {
    const [name, ...rest] = part.split('=');
    return [name, rest.join('=')];
  })).get('state');
  if (text === undefined) return { dataMask: {}, activeTabs: [], anchor: '', urlParams: [] };
  let raw;
  try {
    raw = JSON.parse(decodeURIComponent(text));
  } catch {
    refuse('The view state in the address is not JSON.');
  }
  return checked(raw);
}

function checked(raw) {
  if (!isObject(raw)) refuse('The view state in the address is not an object.');
  const unknown = Object.keys(raw).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) refuse(`The view state has an unknown field “${unknown}”.`);
  const state = {
    dataMask: raw.dataMask ?? {},
    activeTabs: raw.activeTabs ?? [],
    anchor: raw.anchor ?? '',
    urlParams: raw.urlParams ?? [],
  };
  if (!isObject(state.dataMask)) refuse('dataMask is not an object.');
  if (!Array.isArray(state.activeTabs) || !state.activeTabs.every(isText)) refuse('activeTabs is not a list of tab ids.');
  if (!isText(state.anchor)) refuse('anchor is not text.');
  if (!Array.isArray(state.urlParams) || !state.urlParams.every(isPair)) refuse('urlParams is not a list of pairs.');
  return state;
}

/** The tab to show: the one asked for, else the one that holds the anchor, else the first. */
export function activeTab(state, tabs) {
  const named = tabs.filter((tab) => tab.id !== '');
  for (const id of state.activeTabs) {
    if (!named.some((tab) => tab.id === id)) refuse(`There is no tab “${id}”.`);
  }
  if (new Set(state.activeTabs).size > 1) refuse('Only one tab can be active.');
  const anchored = anchorTab(state.anchor, tabs);
  if (state.activeTabs.length === 0) return anchored ?? tabs[0];
  return tabs.find((tab) => tab.id === state.activeTabs[0]);
}

function anchorTab(anchor, tabs) {
  if (anchor === '') return undefined;
  const holds = (tab) => tab.id === anchor || tab.rows.flat().some((item) => `chart-${item.chart}` === anchor);
  return tabs.find(holds) ?? refuse(`There is nothing called “${anchor}” on this dashboard.`);
}

export function readState() {
  return parseState(location.hash);
}

/** Puts the state into the address without a new entry in the history. */
export function writeState(state) {
  history.replaceState(null, '', `#state=${encodeURIComponent(JSON.stringify(state))}`);
}
