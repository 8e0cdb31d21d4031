/**
 * Records the errors of a page for drivers that do not report them. A classic script, the first of the page.
 *
 * WebKit under a driver has a profile in memory alone, and drops a cache that nobody holds open: the page does.
 */
{
  for (const name of ['siglip-web-2', 'siglip-indexes'])
    void globalThis.caches
      ?.open(name)
      .then((cache) => Object.assign(globalThis, { [`cache ${name}`]: cache }));
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
    (event) => {
      const { target, message } = event;
      // A file of the visitor's that is no picture is no fault of the page, and the element has an event of that name.
      const isFile = target instanceof HTMLImageElement && target.src.startsWith('blob:');
      if (!isFile && !(event instanceof CustomEvent))
        problems.push(String(message ?? 'a resource did not load'));
    },
    true,
  );
  addEventListener('unhandledrejection', ({ reason }) => problems.push(String(reason)));
  addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    problems.push(`${violatedDirective} forbids ${blockedURI}`),
  );
}
