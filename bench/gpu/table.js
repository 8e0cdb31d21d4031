/** Prints a report of bench/gpu.html as text. */
import { tasks } from './statistics.js';

/** @param {Awaited<ReturnType<typeof import('./benchmark.js').benchmark>>} report */
export function printGpuTable({ adapter, peak, options, browser, date, results, speedups }) {
  const { vendor, architecture, device, description, software } = adapter;
  console.log(
    `${[vendor, architecture, device, description].filter(Boolean).join(' ')}, ${date.slice(0, 10)}`,
  );
  console.log(`${browser}\n${options.model}; milliseconds: median (10 %, 90 %)`);
  if (software)
    console.log('A software adapter: these times say nothing about a GPU, and are compared with none.');
  const rates = Object.entries(peak.before).filter(([, rate]) => rate);
  console.log(`peak: ${rates.map(([type, rate]) => `${rate} · 10⁹ operations/s in ${type}`).join(', ')}\n`);
  for (const { name, error, cosine, textCosine, load, imageFirst, rate, ...result } of /** @type {any[]} */ (
    results
  )) {
    console.log(error ? `${name}: ${error.split('\n')[0]}` : name);
    if (!result.image) continue;
    console.log(`  ${'load, first image'.padEnd(20)}${load[0].toFixed(0)}, ${imageFirst[0].toFixed(1)}`);
    for (const task of tasks) {
      const times = result[task];
      if (times)
        console.log(
          `  ${task.padEnd(20)}${times.median.toFixed(2)} (${times.p10.toFixed(2)}, ${times.p90.toFixed(2)})`,
        );
    }
    if (rate) console.log(`  ${'10⁹ operations/s'.padEnd(20)}${rate}`);
    console.log(
      `  ${'cosine'.padEnd(20)}${cosine.toFixed(7)}${textCosine ? `, of texts ${textCosine.toFixed(7)}` : ''}`,
    );
  }
  for (const { ours, other, ...factors } of speedups) {
    const list = Object.entries(factors).map(([task, factor]) => `${task} x ${factor}`);
    console.log(`${ours} against ${other}: ${list.join(', ')}`);
  }
}
