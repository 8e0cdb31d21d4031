/** The types of `siglip-web/search`: the element's class, its events, and its tag's name. */
import type { Info, Progress } from '../www/siglip.js';
import { type FoundPicture, SiglipSearch } from '../www/siglip-search.js';

export { SiglipSearch, type FoundPicture };

/** What the element's events carry. */
export interface SiglipSearchEvents {
  progress: CustomEvent<Progress>;
  ready: CustomEvent<Info>;
  result: CustomEvent<{ query: string; found: FoundPicture[]; ms: number }>;
  error: CustomEvent<{ code: string; message: string }>;
}

declare module '../www/siglip-search.js' {
  interface SiglipSearch {
    addEventListener<Name extends keyof SiglipSearchEvents>(
      type: Name,
      listener: (event: SiglipSearchEvents[Name]) => void,
      options?: boolean | AddEventListenerOptions,
    ): void;
    addEventListener(
      type: string,
      listener: EventListenerOrEventListenerObject,
      options?: boolean | AddEventListenerOptions,
    ): void;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'siglip-search': SiglipSearch;
  }
}
