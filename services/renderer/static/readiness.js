// Watches a page from its first moment and answers one question: is everything drawn? Installed in every frame before the page's own
// scripts; asked by services/renderer/readiness.py. It keeps no promise for the page and changes nothing that the page can see,
// but for window.open, which opens nothing.
(() => {
  "use strict";
  window.open = () => null; // a pop-up would put this page in the background, where it draws slowly and lazy images never load
  if (window !== window.top) return;

  const NAME = "__vitrine_readiness__";
  const now = performance.now.bind(performance);
  const later = window.setTimeout.bind(window);
  const frame = window.requestAnimationFrame.bind(window);
  const STEP_MS = 25; // between two looks

  // ---- what the page does: drawing, requests, DOM ------------------------------------------------------------------------------------
  const drawnAt = new WeakMap(); // canvas → time of its last drawing
  const kinds = new WeakMap(); // canvas → kind of its context
  const context2d = window.CanvasRenderingContext2D.prototype;
  const drawImage = context2d.drawImage;
  const getImageData = context2d.getImageData;
  for (const type of [window.WebGLRenderingContext, window.WebGL2RenderingContext])
    for (const name of ["clear", "drawArrays", "drawArraysInstanced", "drawElements", "drawElementsInstanced", "drawRangeElements"]) {
      const original = type && type.prototype[name];
      if (!original) continue;
      type.prototype[name] = function () {
        drawnAt.set(this.canvas, now());
        return original.apply(this, arguments);
      };
    }
  const getContext = HTMLCanvasElement.prototype.getContext;

  for (const name of ["clearRect", "drawImage", "fill", "fillRect", "fillText", "putImageData", "stroke", "strokeRect", "strokeText"]) {
    const original = context2d[name];
    context2d[name] = function () {
      drawnAt.set(this.canvas, now());
      return original.apply(this, arguments);
    };
  }
  HTMLCanvasElement.prototype.getContext = function (kind) {
    const context = getContext.apply(this, arguments);
    if (context) kinds.set(this, String(kind));
    return context;
  };
  const transfer = HTMLCanvasElement.prototype.transferControlToOffscreen;
  if (transfer)
    HTMLCanvasElement.prototype.transferControlToOffscreen = function () {
      kinds.set(this, "offscreen");
      return transfer.apply(this, arguments);
    };

  const requests = new Set(); // in flight: when each began
  let requestedAt = 0; // when one last began or ended
  let lateAt = 0; // likewise, of those that began when some chart that is asked for had been drawn
  let isSignedOut = false; // whether one of them was answered so
  const isLate = (request) => drawnSince !== null && request.began >= drawnSince;
  const begin = () => {
    const request = { began: now() };
    requests.add(request);
    requestedAt = request.began;
    if (isLate(request)) lateAt = requestedAt;
    return (answer) => {
      if (!requests.delete(request)) return;
      isSignedOut ||= answer?.status === 401 && new URL(answer.url || answer.responseURL, location).origin === location.origin;
      requestedAt = now();
      if (isLate(request)) lateAt = requestedAt;
    };
  };
  const fetch = window.fetch;
  window.fetch = function () {
    const end = begin();
    const answer = fetch.apply(this, arguments);
    answer.then(end, end);
    return answer;
  };
  for (const name of ["arrayBuffer", "blob", "formData", "json", "text"]) {
    const original = Response.prototype[name]; // the body may still be on its way when fetch has answered
    Response.prototype[name] = function () {
      const end = begin();
      const body = original.apply(this, arguments);
      body.then(() => end(), () => end()); // with nothing of what it holds
      return body;
    };
  }
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function () {
    const end = begin();
    this.addEventListener("loadend", () => end(this), { once: true });
    return send.apply(this, arguments); // one that throws ends nothing, but is waited for only so long
  };

  let rule = null; // the catalog's Readiness, once asked
  let probe = () => true; // its expression
  const isTrue = () => {
    try {
      return Boolean(probe());
    } catch {
      return false; // what it looks at is not there yet
    }
  };
  let changedAt = now(); // when the set of holders, or the window, last changed
  const changedOf = new WeakMap(); // holder → when something in it last changed
  const note = (record, at) => {
    const node = record.target.nodeType === 1 ? record.target : record.target.parentElement;
    const holder = rule && node && node.closest(rule.holder);
    const isHolder = (child) => child.nodeType === 1 && (child.matches(rule.holder) || child.querySelector(rule.holder));
    if (holder) changedOf.set(holder, at);
    else if (!rule || [...record.addedNodes, ...record.removedNodes].some(isHolder)) changedAt = at;
  };
  new MutationObserver((records) => {
    const at = now();
    for (const record of records) note(record, at);
  }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });

  window.addEventListener("resize", () => { changedAt = now(); }); // charts may answer a new size a moment later

  // ---- what there is to see ----------------------------------------------------------------------------------------------------------
  const isVisible = (element) =>
    element.getClientRects().length > 0 && element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const allVisible = (selector) => (selector ? [...document.querySelectorAll(selector)].filter(isVisible) : []);
  const firstVisible = (selector) => allVisible(selector)[0];
  const words = (element) => (element.innerText || element.textContent || "").replace(/\s+/g, " ").trim().slice(0, 300);

  // A holder in a hidden tab is no part of the picture; one that hides itself until it is drawn is.
  const isPartOfPage = (holder) =>
    holder.getClientRects().length > 0 ||
    (getComputedStyle(holder).display === "none" && (!holder.parentElement || holder.parentElement.getClientRects().length > 0));
  const isInView = (element) => {
    const box = element.getBoundingClientRect();
    return box.top < window.innerHeight && box.bottom >= 0;
  };
  const idOf = (holder, index) =>
    holder.dataset.chartId || holder.dataset.testChartId || holder.id || `#${index + 1}`;
  const titleOf = (holder) => {
    const heading = holder.querySelector("h1, h2, h3, h4, h5, h6, [class*=title]");
    return (holder.getAttribute("aria-label") || (heading && words(heading)) || "").slice(0, 80);
  };

  const scratch = new OffscreenCanvas(48, 48);
  const pen = scratch.getContext("2d", { willReadFrequently: true });
  const sample = (canvas) => {
    try {
      pen.clearRect(0, 0, 48, 48);
      pen.drawImage(canvas, 0, 0, 48, 48);
      let hash = 2166136261;
      for (const word of new Uint32Array(pen.getImageData(0, 0, 48, 48).data.buffer)) hash = Math.imul(hash ^ word, 16777619);
      return hash;
    } catch {
      return "unreadable"; // tainted by another origin's image, or of no size
    }
  };
  const signature = (holders) =>
    holders
      .map((holder) => {
        const { x, y, width, height } = holder.getBoundingClientRect();
        const canvases = [...holder.querySelectorAll("canvas")].map((canvas) => `${canvas.width}x${canvas.height}:${sample(canvas)}`);
        return [x + scrollX, y + scrollY, width, height, holder.innerHTML.length, holder.innerText, canvases].join("|");
      })
      .join("\n");

  // True for a chart that claims to be drawn while each of its canvases is one colour and nothing else is drawn in it.
  const isBlank = (holder) => {
    const canvases = [...holder.querySelectorAll("canvas")].filter(isVisible);
    if (!canvases.length || [...holder.querySelectorAll("svg, img, table, video")].some(isVisible)) return false;
    return canvases.every((canvas) => {
      const kind = kinds.get(canvas);
      if (!kind) return true; // nobody ever asked for something to draw with
      if (kind.includes("webgl") && !drawnAt.has(canvas)) return true;
      if (kind !== "2d" || !canvas.width || !canvas.height) return false; // its pixels cannot be read reliably
      try {
        const pixels = new Uint32Array(
          getImageData.call(getContext.call(canvas, "2d"), 0, 0, canvas.width, canvas.height).data.buffer,
        );
        return pixels.every((pixel) => pixel === pixels[0]);
      } catch {
        return false;
      }
    });
  };

  const isAnimating = (holders) =>
    document.getAnimations().some((animation) => {
      const target = animation.effect && animation.effect.target;
      if (animation.playState !== "running" || !target || !holders.some((holder) => holder.contains(target))) return false;
      return Number.isFinite(Number(animation.effect.getComputedTiming().endTime));
    });

  const contentHeight = () => {
    const scroller = document.scrollingElement || document.documentElement;
    let height = Math.max(scroller.scrollHeight, document.body ? document.body.scrollHeight : 0);
    for (const holder of rule ? document.querySelectorAll(rule.holder) : [])
      for (let node = holder.parentElement; node && node !== scroller && node !== document.body; node = node.parentElement)
        if (node.scrollHeight > node.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(node).overflowY))
          height = Math.max(height, window.innerHeight + node.scrollHeight - node.clientHeight);
    return height;
  };

  // ---- the verdict -------------------------------------------------------------------------------------------------------------------
  const wasTerminal = new WeakSet(); // holders that have been complete once: scrolled out of view they may be emptied again
  let completeAt = null; // since when all charts have been complete
  let stillAt = null; // since when, besides, nothing but restless charts has been in the way
  let blankAt = null;
  let emptyAt = 0; // when none of the charts that are asked for was complete yet
  let drawnSince = null; // since then at the earliest one is
  let scrolled = false;

  const look = (options) => {
    const at = now();
    const login = firstVisible(rule.login);
    if (login) return { state: "login", reason: document.title };
    const broken = rule.failedRoot && document.querySelector(rule.failedRoot);
    if (broken) return { state: "refused", reason: broken.getAttribute("data-vitrine-reason") || broken.getAttribute(rule.reasonAttribute) || "" };
    const error = firstVisible(rule.error);
    if (error) return { state: rule.signedOut && isSignedOut ? "login" : "refused", reason: words(error) };

    const blockers = [];
    const block = (what, holder, index) => blockers.push({ what, id: holder ? idOf(holder, index) : "", title: holder ? titleOf(holder) : "" });
    if (document.readyState === "loading" || !document.body) block("loading");
    if (!document.querySelector(rule.root)) block("root");
    const all = [...document.querySelectorAll(rule.holder)];
    const parts = all.filter(isPartOfPage);
    // Where a page scrolls to, and what comes into view that is empty yet, is certain once all of it is there.
    const whole = options.full || location.hash.length > 1 || !parts.some(isInView);
    const isAsked = whole ? () => true : isInView; // a picture of the window shows nothing of the rest
    const holders = parts.filter(isAsked);
    const isOpen = (holder) => !holder.matches(rule.terminal) && (isInView(holder) || !wasTerminal.has(holder));
    for (const holder of holders) {
      if (holder.matches(rule.terminal)) {
        wasTerminal.add(holder);
        drawnSince ??= emptyAt;
      } else if (isOpen(holder)) block("chart", holder, all.indexOf(holder));
    }
    if (drawnSince === null) emptyAt = at;
    const spinners = allVisible(rule.spinner).filter(isAsked);
    if (spinners.length) block("spinner");
    if (!isTrue()) block("expression");
    const missing = [...document.images].filter((image) => !image.complete && image.getClientRects().length > 0 && isAsked(image));
    const unseen = (image) => image.loading === "lazy" && !isInView(image); // loads only when it comes into view
    if (missing.some((image) => image.closest(rule.holder))) block("image");
    const pendingImages = options.full ? missing : missing.filter((image) => !unseen(image));

    const height = document.body && whole ? contentHeight() : 0;
    const hasPlace = !blockers.some((blocker) => blocker.what === "loading" || blocker.what === "root");
    if (hasPlace && options.full && options.mayGrow && height > window.innerHeight + 1) return { state: "grow", height };
    // Nothing that is in view is in the way: what remains waits for being scrolled into view.
    const outside = holders.filter((holder) => !isInView(holder) && isOpen(holder));
    outside.push(...missing.filter((image) => unseen(image) && (options.full || image.closest(rule.holder))));
    const inside = holders.some((holder) => isInView(holder) && isOpen(holder)) || spinners.some(isInView);
    const lastChanged = Math.max(changedAt, ...holders.map((holder) => changedOf.get(holder) || 0));
    if (hasPlace && outside.length && !inside && at - lastChanged > 150) {
      if (options.mayGrow && height > window.innerHeight + 1) return { state: "grow", height };
      outside[0].scrollIntoView({ block: "center", behavior: "instant" });
      changedAt = at;
      scrolled = true;
    }

    if (blockers.length) {
      completeAt = stillAt = blankAt = null;
      return { state: "waiting", blockers };
    }
    if (scrolled) {
      window.scrollTo({ top: 0, behavior: "instant" });
      scrolled = false;
      changedAt = at;
    }
    completeAt ??= at;
    const patience = at - completeAt; // what is no chart may hold us up only so long: a long poll or a dead image never ends
    // While charts are open that are not asked for, only what began late can be of those that are: a map that fetches its borders.
    const isOurs = parts.some(isOpen) ? isLate : () => true;
    const ours = patience < options.requestPatienceMs ? [...requests].filter(isOurs) : [];
    if (ours.length) block("request");
    if (document.readyState !== "complete" && patience < options.decorPatienceMs) block("loading"); // a style that a style imports, say
    if (document.fonts.status !== "loaded" && patience < options.decorPatienceMs) block("font");
    if (pendingImages.length && patience < options.decorPatienceMs) block("image");
    if (blockers.length) {
      stillAt = null;
      return { state: "waiting", blockers };
    }
    stillAt ??= at;
    const restless = at - stillAt > options.restlessMs;
    const quiet = holders.length ? options.quietMs : options.emptyQuietMs;
    const lastDrawn = holders.flatMap((holder) => [...holder.querySelectorAll("canvas")]).map((canvas) => drawnAt.get(canvas) || 0);
    const lastAsked = isOurs === isLate ? lateAt : requestedAt;
    const active = Math.max(lastChanged, ...lastDrawn, patience < options.requestPatienceMs ? lastAsked : 0);
    if (!restless && (at - active < quiet || isAnimating(holders))) return { state: "waiting", blockers: [{ what: "restless", id: "", title: "" }] };

    const blanks = holders.filter((holder) => !holder.matches(rule.failed) && !(rule.empty && holder.matches(rule.empty)) && isBlank(holder));
    if (blanks.length) {
      blankAt ??= at;
      if (at - blankAt < options.decorPatienceMs) return { state: "waiting", blockers: blanks.map((holder) => ({ what: "blank", id: idOf(holder, all.indexOf(holder)), title: titleOf(holder) })) };
    }
    const named = (list, reason) => list.map((holder) => [idOf(holder, all.indexOf(holder)), reason(holder), titleOf(holder)]);
    const failed = holders.filter((holder) => holder.matches(rule.failed));
    return {
      state: "still",
      restless,
      holderElements: holders,
      holders: parts.length,
      unseen: parts.filter((part) => !holders.includes(part) && isOpen(part)).length,
      failed: [
        ...named(failed, (holder) => holder.getAttribute(rule.reasonAttribute) || words((rule.reason && holder.querySelector(rule.reason)) || holder)),
        ...named(blanks, () => "it says that it is drawn, but its canvas is blank"),
      ],
      empty: rule.empty ? holders.filter((holder) => holder.matches(rule.empty)).length : 0,
      title: document.title,
      height,
      width: Math.max(document.documentElement.scrollWidth, document.body.scrollWidth),
    };
  };

  const nextFrame = () => new Promise((resolve) => { frame(resolve); later(resolve, 100); });
  const pause = (ms) => new Promise((resolve) => { later(resolve, ms); });

  // Looks until there is a verdict, or for `sliceMs`: then the answer is what stands in the way.
  const ask = async (newRule, options, newProbe) => {
    rule = newRule;
    probe = newProbe;
    const until = now() + options.sliceMs;
    for (;;) {
      const seen = look(options);
      if (seen.state === "still") {
        const holders = seen.holderElements;
        delete seen.holderElements;
        const before = signature(holders);
        await nextFrame();
        await nextFrame();
        if (seen.restless || signature(holders) === before) {
          const again = look(options); // everything, once more, in the frame that is shown
          delete again.holderElements;
          if (again.state === "still") return { ...again, state: "ready" };
        } else changedAt = now();
      } else if (seen.state !== "waiting") return seen;
      else if (now() >= until) return seen;
      await pause(STEP_MS);
      if (now() >= until + 1000) return { state: "waiting", blockers: [{ what: "restless", id: "", title: "" }] };
    }
  };

  // The page is about to show something else without being loaded: nothing is proved of it yet.
  const reset = () => {
    completeAt = stillAt = blankAt = drawnSince = null;
    scrolled = isSignedOut = false;
    changedAt = emptyAt = now();
  };

  // Whether all that the page asked for has come, in so much time: else its next target would wait behind it.
  const settle = async (ms) => {
    for (const until = now() + ms; requests.size && now() < until; ) await pause(STEP_MS);
    return !requests.size;
  };

  Object.defineProperty(window, NAME, { value: Object.freeze({ ask, reset, settle }), enumerable: false });
})();
