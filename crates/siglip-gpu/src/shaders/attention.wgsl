const DIM = $dim$u;
const WIDTH = $width$u;
const KEYS = $keys$u;
const SCALE = 1 / sqrt(f32($values$));
struct Pass { rows: u32, padded_rows: u32, length: u32, unused: u32 }
@group(0) @binding(0) var<uniform> pass_info: Pass;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> context: array<vec4<f32>>;

const LANES = 16u;
const OWN_KEYS = (KEYS + LANES - 1) / LANES;
const OWN = (DIM + LANES - 1) / LANES;
const STRIDE = DIM / 2 * 2 + 1;
const LOWEST = -3.0e38;
var<workgroup> queries: array<vec4<f32>, 16 * DIM>;
var<workgroup> tile: array<vec4<f32>, KEYS * STRIDE>;
var<workgroup> weights: array<vec4<f32>, KEYS * 4>;
var<workgroup> shared_values: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let length = pass_info.length;
  let first_row = group.z * length;
  let first_query = group.x * 16;
  let head = group.y * DIM;
  let four = local / LANES;
  let lane = local % LANES;
  for (var i = local; i < 16 * DIM; i += 64) {
    let row = first_row + min(first_query + i / DIM, length - 1);
    queries[i] = SCALE * qkv[row * 3 * WIDTH + head + i % DIM];
  }
  var sums: array<array<vec4<f32>, 4>, OWN>;
  var scores: array<vec4<f32>, OWN_KEYS>;
  var highest = vec4<f32>(LOWEST);
  var total = vec4<f32>(0);
  for (var first = 0u; first < length; first += KEYS) {
    workgroupBarrier();
    for (var i = local; i < KEYS * DIM; i += 64) {
      let row = first_row + min(first + i / DIM, length - 1);
      tile[i / DIM * STRIDE + i % DIM] = qkv[(row * 3 + 1) * WIDTH + head + i % DIM];
    }
    workgroupBarrier();
    for (var j = 0u; j < OWN_KEYS; j++) { scores[j] = vec4<f32>(0); }
    for (var i = 0u; i < DIM; i++) {
      let at = four * 4 * DIM + i;
      let q0 = queries[at];
      let q1 = queries[at + DIM];
      let q2 = queries[at + 2 * DIM];
      let q3 = queries[at + 3 * DIM];
      for (var j = 0u; j < OWN_KEYS; j++) {
        let k = tile[min(lane + j * LANES, KEYS - 1) * STRIDE + i];
        scores[j] += vec4(dot(q0, k), dot(q1, k), dot(q2, k), dot(q3, k));
      }
    }
    var new_highest = highest;
    for (var j = 0u; j < OWN_KEYS; j++) {
      let key = lane + j * LANES;
      scores[j] = select(vec4<f32>(LOWEST), scores[j], key < KEYS && first + key < length);
      new_highest = max(new_highest, scores[j]);
    }
    shared_values[local] = new_highest;
    workgroupBarrier();
    for (var i = 0u; i < LANES; i++) { new_highest = max(new_highest, shared_values[four * LANES + i]); }
    let correction = exp(highest - new_highest);
    highest = new_highest;
    total *= correction;
    for (var j = 0u; j < OWN_KEYS; j++) {
      let weight = exp(scores[j] - highest);
      total += weight;
      if (lane + j * LANES < KEYS) { weights[(lane + j * LANES) * 4 + four] = weight; }
    }
    for (var i = 0u; i < OWN; i++) {
      for (var q = 0u; q < 4; q++) { sums[i][q] *= correction[q]; }
    }
    for (var i = local; i < KEYS * DIM; i += 64) {
      let row = first_row + min(first + i / DIM, length - 1);
      tile[i / DIM * STRIDE + i % DIM] = qkv[(row * 3 + 2) * WIDTH + head + i % DIM];
    }
    workgroupBarrier();
    for (var key = 0u; key < KEYS; key++) {
      let weight = weights[key * 4 + four];
      for (var i = 0u; i < OWN; i++) {
        let v = tile[key * STRIDE + min(lane + i * LANES, DIM - 1)];
        for (var q = 0u; q < 4; q++) { sums[i][q] += weight[q] * v; }
      }
    }
  }
  workgroupBarrier();
  shared_values[local] = total;
  workgroupBarrier();
  total = vec4<f32>(0);
  for (var i = 0u; i < LANES; i++) { total += shared_values[four * LANES + i]; }
  for (var q = 0u; q < 4; q++) {
    let query = first_query + four * 4 + q;
    if (query < length) {
      for (var i = 0u; i < OWN; i++) {
        if (lane + i * LANES < DIM) {
          context[(first_row + query) * WIDTH + head + lane + i * LANES] = sums[i][q] / total[q];
        }
      }
    }
  }
}
