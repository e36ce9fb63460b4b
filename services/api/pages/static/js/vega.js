// Draws one Vega-Lite chart onto a canvas, and tells the truth about it: resolves only when Vega has drawn
// without an error and has loaded all that it wanted to load.
import { Failure, fontsFor } from './readiness.js';
import { filled, fitComposed, isComposed } from './fit.js';
import { geoLoader } from './geo.js';
import { tooltip } from './tooltip.js';
import { vegaConfig } from './theme.js';

const ROWS = 'rows';
const SOURCES = ['url', 'values', 'sequence', 'graticule', 'sphere'];

/** Every `data` of a spec, however deep. */
function* dataOf(node) {
  if (Array.isArray(node)) {
    for (const child of node) yield* dataOf(child);
  } else if (node !== null && typeof node === 'object') {
    for (const [key, child] of Object.entries(node)) {
      if (key === 'datasets' || key === 'values') continue;
      if (key === 'data' && child !== null && typeof child === 'object') yield child;
      yield* dataOf(child);
    }
  }
}

/** A copy of the spec in which the chart's rows are the data of every view that brings none of its own. */
function withRows(spec, rows) {
  const { usermeta, ...copy } = structuredClone(spec); // usermeta could change how the chart is embedded
  const datasets = { ...copy.datasets };
  const sources = [...dataOf(copy)];
  const own = new Set(sources.filter((data) => SOURCES.some((key) => key in data)).map((data) => data.name));
  for (const { name } of sources.filter((data) => !SOURCES.some((key) => key in data))) {
    if (name !== undefined && !own.has(name) && !(name in datasets)) datasets[name] = rows;
  }
  datasets[ROWS] ??= rows;
  return { ...copy, data: copy.data ?? { name: ROWS }, datasets };
}

/** Vega writes into its rows (parsed dates, for one): every view gets rows of its own. */
function ownRows(spec) {
  const copies = Object.entries(spec.datasets).map(([name, rows]) => (
    [name, Array.isArray(rows) ? rows.map((row) => (row !== null && typeof row === 'object' ? { ...row } : row)) : rows]));
  return { ...spec, datasets: Object.fromEntries(copies) };
}

/** A logger that keeps Vega's errors; its warnings ("Infinite extent" and the like) are no failures. */
function errorLog(errors) {
  const log = {
    level: (value) => (value === undefined ? vega.Warn : log),
    error: (...parts) => { errors.push(parts.map((part) => part?.message ?? String(part)).join(' ')); return log; },
    warn: (...parts) => { console.debug('vega:', ...parts); return log; },
    info: () => log,
    debug: () => log,
  };
  return log;
}

// `?vector`: the page will be printed, and a canvas would be a raster in the PDF.
const SURFACE = new URLSearchParams(location.search).has('vector') ? 'svg' : 'canvas';

class Drawing {
  #view = null;
  #errors = [];
  #failures = [];

  constructor(mount) {
    this.mount = mount;
  }

  /** Puts a whole new view into the mount; returns the size it took. */
  async embed(spec) {
    this.destroy();
    this.#errors.length = 0;
    this.#failures.length = 0;
    let result;
    try {
      result = await vegaEmbed(this.mount, ownRows(spec), {
        mode: 'vega-lite', renderer: SURFACE, actions: false, defaultStyle: false, ast: true,
        config: vegaConfig(), loader: geoLoader(this.#failures), logger: errorLog(this.#errors), tooltip,
      });
    } catch (error) {
      throw this.#failures[0] ?? new Failure('spec-invalid', `The specification cannot be drawn: ${error.message}`);
    }
    this.#view = result.view;
    await this.settle();
    const { width, height } = this.#surface();
    return { width, height };
  }

  /** Waits for the view's dataflow and pictures; throws what went wrong in them. */
  async settle() {
    await this.#view.runAsync();
    await this.#view._renderer?.ready?.();
    if (this.#failures.length > 0) throw this.#failures[0];
    if (this.#errors.length > 0) throw new Failure('draw-failed', this.#errors[0]);
    const { width, height } = this.#surface();
    if (!width || !height) throw new Failure('draw-failed', 'Vega drew no picture.');
  }

  #surface() {
    return this.mount.querySelector(`${SURFACE}.marks`)?.getBoundingClientRect() ?? {};
  }

  async resize(width, height) {
    this.#view.width(width).height(height);
    await this.settle();
  }

  destroy() {
    this.#view?.finalize();
    this.#view = null;
    this.mount.replaceChildren();
  }
}

/** Draws the chart into `mount`; the result has resize(width, height) and destroy(). */
export async function drawVega(chart, data, mount) {
  const spec = withRows(chart.spec, data.rows);
  await fontsFor(JSON.stringify([chart.title, chart.spec, data.rows]));
  const drawing = new Drawing(mount);
  const composed = isComposed(spec);
  const fill = (width, height) => (composed
    ? fitComposed(spec, width, height, (sized) => drawing.embed(sized))
    : drawing.embed(filled(spec, width, height)));
  await fill(mount.clientWidth, mount.clientHeight);
  return {
    resize: (width, height) => (composed ? fill(width, height) : drawing.resize(width, height)),
    destroy: () => drawing.destroy(),
  };
}
