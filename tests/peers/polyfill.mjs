// Promise.withResolvers is new in Node 22; the libp2p packages call it. Preload: node --import ./tests/peers/polyfill.mjs
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new Promise((a, b) => { resolve = a; reject = b; });
  return { promise, resolve, reject };
};
