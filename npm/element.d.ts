/** The types of `siglip-web/element`: the element's class, its events, and its tag's name. */
import type { Info, Notice, Progress, Score } from '../www/siglip.js';
import { SiglipClassifier } from '../www/siglip-classifier.js';

export { SiglipClassifier };

/** What the element's events carry. */
export interface SiglipClassifierEvents {
  progress: CustomEvent<Progress>;
  ready: CustomEvent<Info>;
  result: CustomEvent<{
    file: Blob | string | HTMLVideoElement;
    scores: Score[];
    ms: number;
    notices: Notice[];
  }>;
  error: CustomEvent<{ code: string; message: string }>;
}

declare module '../www/siglip-classifier.js' {
  interface SiglipClassifier {
    addEventListener<Name extends keyof SiglipClassifierEvents>(
      type: Name,
      listener: (event: SiglipClassifierEvents[Name]) => void,
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
    'siglip-classifier': SiglipClassifier;
  }
}
