/** Counts and times as text. */
import { t } from '../ui/translate.js';

/** A time that one waits. @param {number} ms */
export const formatDuration = (ms) =>
  ms < 90_000 ? t`${Math.max(1, Math.round(ms / 1000))} s` : t`${Math.round(ms / 60_000)} min`;

/** @param {number} count */
export const picturesText = (count) => (count === 1 ? t`1 picture` : t`${count} pictures`);
