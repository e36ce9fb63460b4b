// Making a Vega-Lite spec fill a box. Single and layered views do it with autosize "fit". Faceted, repeated and
// concatenated ones cannot: their cells are scaled and measured until the whole fits (it is linear: two steps do).

const COMPOSED = ['hconcat', 'vconcat', 'concat', 'facet', 'repeat'];
const FACETS = ['row', 'column', 'facet'];
const CELL = 200;
const LEAST = 24;

export function isComposed(spec) {
  return COMPOSED.some((key) => key in spec) || FACETS.some((channel) => spec.encoding?.[channel] !== undefined);
}

/** The spec of a single view, filling width × height. */
export function filled(spec, width, height) {
  return { ...spec, width, height, autosize: { type: 'fit', contains: 'padding' } };
}

function scaled(view, kx, ky) {
  const copy = { ...view };
  for (const key of ['hconcat', 'vconcat', 'concat']) {
    if (copy[key]) copy[key] = copy[key].map((child) => scaled(child, kx, ky));
  }
  if (copy.spec) copy.spec = scaled(copy.spec, kx, ky);
  if (!COMPOSED.some((key) => key in copy)) {
    copy.width = Math.max(LEAST, Math.round((Number.isFinite(view.width) ? view.width : CELL) * kx));
    copy.height = Math.max(LEAST, Math.round((Number.isFinite(view.height) ? view.height : CELL) * ky));
  }
  return copy;
}

function nextFactor(k, size, before, wanted) {
  const slope = before && before.k !== k ? (size - before.size) / (k - before.k) : size / k;
  return slope > 0 ? Math.max(0.05, k + (wanted - size) / slope) : k;
}

/** Draws with `render(spec) → {width, height}` until the composed view fits into width × height. */
export async function fitComposed(spec, width, height, render) {
  let kx = 1;
  let ky = 1;
  let before = null;
  for (let round = 0; round < 4; round += 1) {
    const size = await render(scaled(spec, kx, ky));
    const over = size.width > width || size.height > height;
    const under = size.width < width - 8 || size.height < height - 8;
    if (round > 0 && !over && !under) return;
    const next = {
      x: nextFactor(kx, size.width, before && { k: before.kx, size: before.width }, width - 2),
      y: nextFactor(ky, size.height, before && { k: before.ky, size: before.height }, height - 2),
    };
    before = { kx, ky, ...size };
    if (Math.abs(next.x - kx) < 0.005 && Math.abs(next.y - ky) < 0.005) return;
    kx = next.x;
    ky = next.y;
  }
}
