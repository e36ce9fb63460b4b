// The one place that talks to the gateway.

/** What went wrong, in the words of the gateway's problem JSON. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.name = 'Problem';
    this.status = status;
    this.code = code;
  }

  /** Whether it is likely to pass by itself: no whole answer, too many requests, or a fault of the server. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The Problem that a response which is no success stands for. */
export async function problemOf(response) {
  let body = {};
  try {
    body = await response.json();
  } catch { /* not JSON: the status says what there is to say */ }
  const detail = body?.detail || body?.title || body?.message || `The server answered ${response.status}.`;
  return new Problem(response.status, body?.code || `http-${response.status}`, String(detail));
}

/** A fetch whose failure to reach the server is a Problem with status 0. */
export async function request(path, options = {}) {
  const headers = { Accept: 'application/json', ...options.headers };
  if ((options.method ?? 'GET') !== 'GET') headers['X-Requested-With'] = 'vitrine';
  try {
    return await fetch(path, { credentials: 'same-origin', ...options, headers });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, 'unreachable', 'The server cannot be reached just now.');
  }
}

export async function getJson(path, options) {
  const response = await request(path, options);
  if (!response.ok) throw await problemOf(response);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    if (error instanceof SyntaxError) throw new Problem(response.status, 'not-json', 'The server answered with something that is not JSON.');
    throw new Problem(0, 'cut-off', 'The server broke its answer off.');
  }
}

export function postJson(path, body) {
  return request(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

/** A gate that lets at most `width` asynchronous functions run at once, in the order they came. */
export function gate(width) {
  const waiting = [];
  let running = 0;
  const next = () => {
    if (running >= width || waiting.length === 0) return;
    running += 1;
    const { work, resolve, reject } = waiting.shift();
    work().then(resolve, reject).finally(() => {
      running -= 1;
      next();
    });
  };
  return (work) => new Promise((resolve, reject) => {
    waiting.push({ work, resolve, reject });
    next();
  });
}

/** To the login page and back to here afterwards. */
export function signIn() {
  const here = location.pathname + location.search + location.hash;
  location.assign(`/login/?next=${encodeURIComponent(here)}`);
}
