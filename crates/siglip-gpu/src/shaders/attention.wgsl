struct Pass { rows: u32, padded_rows: u32, length: u32, unused: u32 }
@group(0) @binding(0) var<uniform> pass_info: Pass;
@group(0) @binding(1) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> context: array<vec4<f32>>;

const QUERIES = 16u;
const LANES = 4u;
const OWN = (DIM + LANES - 1) / LANES;
const LOWEST = -3.0e38;
var<workgroup> queries: array<vec4<f32>, QUERIES * DIM>;
var<workgroup> tile: array<vec4<f32>, KEYS * DIM>;
var<workgroup> scores: array<f32, QUERIES * KEYS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let length = pass_info.length;
  let first_row = group.z * length;
  let first_query = group.x * QUERIES;
  let head = group.y * DIM;
  let query = local / LANES;
  let lane = local % LANES;
  for (var i = local; i < QUERIES * DIM; i += 64) {
    let row = first_row + min(first_query + i / DIM, length - 1);
    queries[i] = SCALE * qkv[row * 3 * WIDTH + head + i % DIM];
  }
  var sums: array<vec4<f32>, OWN>;
  var highest = LOWEST;
  var total = 0.0;
  for (var first = 0u; first < length; first += KEYS) {
    workgroupBarrier();
    for (var i = local; i < KEYS * DIM; i += 64) {
      let row = first_row + min(first + i / DIM, length - 1);
      tile[i] = qkv[(row * 3 + 1) * WIDTH + head + i % DIM];
    }
    workgroupBarrier();
    for (var key = lane; key < KEYS; key += LANES) {
      var score = 0.0;
      for (var i = 0u; i < DIM; i++) { score += dot(queries[query * DIM + i], tile[key * DIM + i]); }
      scores[query * KEYS + key] = select(LOWEST, score, first + key < length);
    }
    workgroupBarrier();
    var new_highest = highest;
    for (var key = 0u; key < KEYS; key++) { new_highest = max(new_highest, scores[query * KEYS + key]); }
    let correction = exp(highest - new_highest);
    highest = new_highest;
    total *= correction;
    for (var i = 0u; i < OWN; i++) { sums[i] *= correction; }
    for (var i = local; i < KEYS * DIM; i += 64) {
      let row = first_row + min(first + i / DIM, length - 1);
      tile[i] = qkv[(row * 3 + 2) * WIDTH + head + i % DIM];
    }
    workgroupBarrier();
    for (var key = 0u; key < KEYS; key++) {
      let weight = exp(scores[query * KEYS + key] - highest);
      total += weight;
      for (var i = 0u; i < OWN; i++) { sums[i] += weight * tile[key * DIM + min(lane + i * LANES, DIM - 1)]; }
    }
  }
  if (first_query + query < length) {
    let row = (first_row + first_query + query) * WIDTH + head;
    for (var i = lane; i < DIM; i += LANES) { context[row + i] = sums[i / LANES] / total; }
  }
}
