struct Pass { rows: u32, padded_rows: u32, length: u32, unused: u32 }
@group(0) @binding(0) var<uniform> pass_info: Pass;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<WORD>;
BINDINGS
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

const LANES = 32u;
const THREADS = 256u;
var<workgroup> sums: array<f32, 256>;

fn sum_of(value: f32, local: u32, lanes: u32) -> f32 {
  workgroupBarrier();
  sums[local] = value;
  workgroupBarrier();
  for (var half = lanes / 2; half > 0; half /= 2) {
    if (local % lanes < half) { sums[local] += sums[local + half]; }
    workgroupBarrier();
  }
  return sums[local / lanes * lanes];
}

FUNCTIONS
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  _ = pass_info.rows;
  let row = ROW * K;
  let output = group.x * (THREADS / LANES) + local / LANES;
  NORM
  var products = vec4<f32>(0);
  for (var i = local % LANES; i < K; i += LANES) { products += VALUE * LEVELS(weights[output * K + i]); }
  let sum = sum_of(dot(products, vec4<f32>(1)), local, LANES);
  let at = group.y * OUTPUTS + output;
  if (local % LANES == 0) { y[at] = RESULT; }
}
