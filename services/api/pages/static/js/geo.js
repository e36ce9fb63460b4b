// The loader given to Vega. It reaches /static/geo/<name>.json and nothing else: no other path, no other
// origin, no data: URL, no file, no link. One fetch per file and page.
import { request } from './api.js';
import { Failure, UNAVAILABLE } from './readiness.js';

const ALLOWED = /^\/static\/geo\/[A-Za-z0-9._-]+\.json$/;
const texts = new Map();

function allowedPath(uri) {
  let url;
  try {
    url = new URL(String(uri), location.origin);
  } catch {
    return null;
  }
  return url.origin === location.origin && ALLOWED.test(url.pathname) ? url.pathname : null;
}

async function download(path) {
  const response = await request(path);
  if (!response.ok) throw new Failure(response.status >= 500 ? UNAVAILABLE : 'map-failed', `${path} answered ${response.status}.`);
  try {
    return await response.text();
  } catch {
    throw new Failure(UNAVAILABLE, `${path} broke off.`);
  }
}

/** A Vega loader that also remembers in `failures` what it could not or would not load. */
export function geoLoader(failures) {
  const remember = (error) => {
    failures.push(error);
    throw error;
  };
  const loader = vega.loader();
  loader.sanitize = async (uri) => {
    const path = allowedPath(uri);
    if (path === null) return remember(new Failure('map-failed', `The chart may not load “${String(uri).slice(0, 200)}”.`));
    return { href: path };
  };
  loader.load = async (uri, options) => {
    const { href } = await loader.sanitize(uri, options);
    if (!texts.has(href)) texts.set(href, download(href));
    try {
      return await texts.get(href);
    } catch (error) {
      texts.delete(href);
      return remember(error.code ? error : new Failure('map-failed', `${href} cannot be loaded.`));
    }
  };
  loader.http = loader.load;
  loader.file = loader.load;
  return loader;
}
