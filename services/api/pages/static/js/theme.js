// The Vega configuration: vega-theme.json, with the page's own colours on top in dark mode.

import { getJson } from './api.js';
import { sayPage, UNAVAILABLE } from './readiness.js';

const dark = matchMedia('(prefers-color-scheme: dark)');

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const theme = await getJson(new URL('../vega-theme.json', import.meta.url)).catch((error) => {
  sayPage('failed', `${UNAVAILABLE}: ${error.message}`); // before the page's own script, whose imports now fail
  throw error;
});

// The same hues, light enough for a dark ground.
const lit = {
  mark: { color: '#4fb3bf' },
  range: { category: ['#4fb3bf', '#f0a94a', '#86a5f0', '#e0748a', '#93c771', '#b491e0', '#76d6cf', '#c9a57c'] },
};

function inks() {
  const text = colour('--text');
  const muted = colour('--muted');
  const line = colour('--line');
  return {
    background: 'transparent',
    title: { color: text, subtitleColor: muted },
    axis: { labelColor: muted, titleColor: muted, gridColor: line, domainColor: line, tickColor: line },
    legend: { labelColor: muted, titleColor: muted },
    header: { labelColor: muted, titleColor: muted },
    style: { 'guide-label': { fill: muted }, 'guide-title': { fill: muted }, 'group-title': { fill: text } },
    text: { color: text },
  };
}

export function vegaConfig() {
  return dark.matches ? vega.mergeConfig({}, theme, lit, inks()) : theme;
}

/** Calls back when the reader switches between light and dark, until `signal` is aborted. */
export function onSchemeChange(callback, signal) {
  dark.addEventListener('change', callback, { signal });
}
