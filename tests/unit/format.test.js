import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { SiglipError } from '../../www/siglip.js';
import { describe } from '../../www/app/describe.js';
import { downloadSize, formatBytes, formatPercent, formatProgress, formatTime } from '../../www/ui/format.js';

test('bytes are written in decimal units', () => {
  const written = [0, 1, 1000, 999_999, 1e6, 9_990_625, 99.96e6, 1e8, 815e6, 999e6, 1e9, 4579e6].map(
    formatBytes,
  );
  assert.deepEqual(written, [
    ...['0 kB', '1 kB', '1 kB', '1000 kB', '1.0 MB', '10.0 MB'],
    ...['100.0 MB', '100 MB', '815 MB', '999 MB', '1.00 GB', '4.58 GB'],
  ]);
});

test('a probability is never written as 0 or 100 percent', () => {
  const written = [0, 1e-9, 0.00009, 0.0001, 0.005, 0.01, 0.5, 0.999, 0.9991, 1].map(formatPercent);
  assert.deepEqual(written, [
    ...['<0.01%', '<0.01%', '<0.01%', '0.01%', '0.50%', '1.0%'],
    ...['50.0%', '99.9%', '>99.9%', '>99.9%'],
  ]);
});

test('a time is written in milliseconds below a second', () => {
  assert.deepEqual([0, 0.2, 999, 1000, 61_250].map(formatTime), [
    '0 ms',
    '1 ms',
    '999 ms',
    '1.0 s',
    '61.3 s',
  ]);
});

test('progress tells the phase, and the total if it is known', () => {
  const file = 'model.safetensors';
  assert.equal(formatProgress({ phase: 'download', loaded: 0, total: 0, file }), 'Loading the model …');
  assert.equal(
    formatProgress({ phase: 'download', loaded: 5e6, total: 0, file }),
    'Loading the model: 5.0 MB',
  );
  assert.equal(
    formatProgress({ phase: 'download', loaded: 5e6, total: 8e8, file }),
    'Loading the model: 5.0 MB of 800 MB',
  );
  assert.equal(formatProgress({ phase: 'prepare', loaded: 1, total: 1, file }), 'Preparing the model …');
  assert.equal(formatProgress({ phase: 'ready', loaded: 1, total: 1, file }), 'Ready.');
});

test('the download size of the demonstration model is that of its files', async () => {
  const folder = fileURLToPath(new URL('../../www/models/tiny/', import.meta.url));
  const names = (await readdir(folder)).filter((name) => /\.(json|safetensors)$/.test(name));
  const bytes = names.reduce((sum, name) => sum + statSync(folder + name).size, 0);
  const told = downloadSize('tiny') ?? 0;
  assert.ok(Math.abs(told - bytes) < 2000, `${told} bytes told, ${bytes} in the folder`);
  assert.equal(downloadSize('google/siglip-base-patch16-224'), 815e6);
  assert.equal(downloadSize('somebody/else'), undefined);
});

test('an error has a headline and a sentence', () => {
  assert.deepEqual(describe(new SiglipError('quota', 'no room')), {
    code: 'quota',
    headline: 'The browser’s storage is full',
    message: 'No room.',
  });
  assert.equal(describe(new SiglipError('network', 'https://a.b/c failed')).message, 'https://a.b/c failed.');
  assert.equal(
    describe(new SiglipError('network', 'config.json is empty!')).message,
    'config.json is empty!',
  );
  assert.equal(describe(new TypeError('x is undefined')).headline, 'The engine has stopped');
  assert.equal(describe('thrown text').message, 'Thrown text.');
});
