struct Pass { rows: u32, padded_rows: u32, length: u32, unused: u32 }
@group(0) @binding(0) var<uniform> pass_info: Pass;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
BINDINGS

const THREADS = 64u;
var<workgroup> sums: array<f32, THREADS>;

fn sum_of_all(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  sums[local] = value;
  workgroupBarrier();
  for (var half = THREADS / 2; half > 0; half /= 2) {
    if (local < half) { sums[local] += sums[local + half]; }
    workgroupBarrier();
  }
  return sums[0];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = group.x * STRIDE;
  var sum = 0.0;
  for (var i = local; i < WIDTH; i += THREADS) {
    var value = x[row + i];
    ADDITIONS
    sum += value;
  }
  NORMALIZATION
}
