/**
 * Addresses of scripts for pages that enforce Trusted Types. Such a page has to allow the policy: `trusted-types siglip-web`.
 * It takes whatever it is given, so it stays in this module; only the two places that start workers import it.
 */

/** @typedef {{createScriptURL: (address: string) => string}} Policy */
/** Not in every browser. @type {{createPolicy: (name: string, rules: Policy) => Policy} | undefined} */
const types = /** @type {any} */ (globalThis).trustedTypes;

/** @type {Policy | undefined} */
let policy;
try {
  policy = types?.createPolicy('siglip-web', { createScriptURL: (address) => address });
} catch {
  // The page does not allow it. If it enforces Trusted Types, the browser refuses the worker, and that is reported.
}

/** @param {string} address of a script */
export const trusted = (address) => policy?.createScriptURL(address) ?? address;
