/**
 * Records the errors of a page for drivers that do not report them. A classic script, the first of the page.
 *
 * WebKit under a driver has a profile in memory alone, and drops a cache that nobody holds open: the page does.
 */
{
  void globalThis.caches
    ?.open('siglip-web-2')
    .then((cache) => Object.assign(globalThis, { siglipCache: cache }));
  /** @type {string[]} */
  const problems = [];
  Object.assign(globalThis, { siglipProblems: problems });
  const { error } = console;
  console.error = (...values) => {
    problems.push(values.map(String).join(' '));
    error(...values);
  };
  addEventListener(
    'error',
    (event) => problems.push(String(event.message ?? 'a resource did not load')),
    true,
  );
  addEventListener('unhandledrejection', ({ reason }) => problems.push(String(reason)));
  addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    problems.push(`${violatedDirective} forbids ${blockedURI}`),
  );
}
