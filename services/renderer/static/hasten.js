// Lets animations end sooner: inside requestAnimationFrame's callbacks, and only there, clocks run faster. What an animation
// ends in is what it would end in anyway. And what a page draws ahead, for somebody who may scroll there, is not drawn.
// Installed before a page's own scripts; idle until a page of a catalog that allows it asks for it
// (services/renderer/visit.py).
(() => {
  "use strict";
  if (window !== window.top) return;
  const FACTOR = 16;
  const request = window.requestAnimationFrame;
  const now = performance.now;
  const date = Date.now;
  let began = 0; // when the render began: so far away are the fast clocks from the true ones at most
  let begunAt = 0;
  let hasty = false;
  let inFrame = 0;
  const fast = (time) => began + (time - began) * FACTOR;

  let ahead = ""; // rootMargin of the observers that draw what is not in view yet; "": the page has none

  Object.defineProperty(window, "__vitrine_hasten__", { value: (drawsAhead) => {
      hasty = true;
      ahead = drawsAhead;
      began = now.call(performance);
      begunAt = date();
    }, enumerable: false });
  const getContext = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind) {
    if (String(kind).includes("webgl")) hasty = false; // maps draw on and on when their clocks run faster
    return getContext.apply(this, arguments);
  };
  window.IntersectionObserver = class extends IntersectionObserver {
    constructor(callback, options) {
      super(callback, ahead && options?.rootMargin === ahead ? { ...options, rootMargin: "0px" } : options);
    }
  };
  const webdriver = Object.getOwnPropertyDescriptor(Navigator.prototype, "webdriver");
  let isRobot = null; // one answer for the life of the document; to a robot Superset draws all
  const told = { ...webdriver, get() { return (isRobot ??= ahead ? false : webdriver.get.call(this)); } };
  Object.defineProperty(Navigator.prototype, "webdriver", told);
  window.requestAnimationFrame = (callback) =>
    request.call(window, (time) => {
      if (!hasty) return callback(time);
      inFrame += 1;
      try {
        return callback(fast(time));
      } finally {
        inFrame -= 1;
      }
    });
  performance.now = () => (inFrame ? fast(now.call(performance)) : now.call(performance));
  const RealDate = Date;
  Date.now = () => (inFrame ? begunAt + (fast(now.call(performance)) - began) : date());
  const proxy = new Proxy(RealDate, {
    construct: (target, given, as) => Reflect.construct(target, given.length || !inFrame ? given : [Date.now()], as),
  });
  RealDate.prototype.constructor = proxy;
  window.Date = proxy;
})();
