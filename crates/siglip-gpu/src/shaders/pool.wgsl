const DIM = $dim$u;
const WIDTH = $width$u;
struct Pass { rows: u32, padded_rows: u32, length: u32, unused: u32 }
@group(0) @binding(0) var<uniform> pass_info: Pass;
@group(0) @binding(1) var<storage, read> normed: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> queries: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> values: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> context: array<f32>;

const THREADS = 256u;
const LANES = 4u;
const KEYS = THREADS / LANES;
const OWN = (WIDTH + THREADS - 1) / THREADS;
const LOWEST = -3.0e38;
var<workgroup> vector: array<vec4<f32>, WIDTH>;
var<workgroup> parts: array<f32, 256>;
var<workgroup> weights: array<f32, 64>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let length = pass_info.length;
  let first_row = group.y * length;
  let own = local / LANES;
  let lane = local % LANES;
  for (var i = local; i < WIDTH; i += THREADS) { vector[i] = queries[group.x * WIDTH + i]; }
  var sums: array<vec4<f32>, OWN>;
  var highest = LOWEST;
  var total = 0.0;
  var products = vec4<f32>(0);
  for (var first = 0u; first < length; first += KEYS) {
    let row = (first_row + min(first + own, length - 1)) * WIDTH;
    products = vec4<f32>(0);
    workgroupBarrier();
    for (var i = lane; i < WIDTH; i += LANES) { products += vector[i] * normed[row + i]; }
    parts[local] = dot(products, vec4<f32>(1));
    workgroupBarrier();
    if (local < KEYS) {
      let at = local * LANES;
      let score = parts[at] + parts[at + 1] + parts[at + 2] + parts[at + 3];
      weights[local] = select(LOWEST, score, first + local < length);
    }
    workgroupBarrier();
    var new_highest = highest;
    for (var key = 0u; key < KEYS; key++) { new_highest = max(new_highest, weights[key]); }
    let correction = exp(highest - new_highest);
    highest = new_highest;
    total *= correction;
    for (var i = 0u; i < OWN; i++) { sums[i] *= correction; }
    for (var key = 0u; key < min(KEYS, length - first); key++) {
      let weight = exp(weights[key] - highest);
      total += weight;
      for (var i = 0u; i < OWN; i++) {
        sums[i] += weight * normed[(first_row + first + key) * WIDTH + min(local + i * THREADS, WIDTH - 1)];
      }
    }
  }
  workgroupBarrier();
  for (var i = 0u; i < OWN; i++) {
    if (local + i * THREADS < WIDTH) { vector[local + i * THREADS] = sums[i] / total; }
  }
  for (var first = 0u; first < DIM; first += KEYS) {
    let output = (group.x * DIM + min(first + own, DIM - 1)) * WIDTH;
    products = vec4<f32>(0);
    workgroupBarrier();
    for (var i = lane; i < WIDTH; i += LANES) { products += vector[i] * values[output + i]; }
    parts[local] = dot(products, vec4<f32>(1));
    workgroupBarrier();
    if (local < KEYS && first + local < DIM) {
      let at = local * LANES;
      let value = parts[at] + parts[at + 1] + parts[at + 2] + parts[at + 3];
      context[group.y * WIDTH * 4 + group.x * DIM + first + local] = value + bias[group.x * DIM + first + local];
    }
  }
}
