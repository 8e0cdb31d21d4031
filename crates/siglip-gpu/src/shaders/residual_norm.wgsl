const WIDTH = $width$u;
const STRIDE = $stride$u;
struct Pass { rows: u32, padded_rows: u32, length: u32, unused: u32 }
@group(0) @binding(0) var<uniform> pass_info: Pass;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
?parts @group(0) @binding(2) var<storage, read> partials: array<f32>;
?parts @group(0) @binding(3) var<storage, read> bias: array<f32>;
?norm @group(0) @binding(4) var<storage, read> norm_weight: array<f32>;
?norm @group(0) @binding(5) var<storage, read> norm_bias: array<f32>;
?norm @group(0) @binding(6) var<storage, read_write> normed: array<f32>;

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
?parts     value += bias[i];
?parts     for (var part = 0u; part < $parts$; part++) { value += partials[part * pass_info.padded_rows * STRIDE + row + i]; }
?parts     x[row + i] = value;
?!parts     _ = pass_info.rows;
    sum += value;
  }
?norm   let mean = sum_of_all(sum, local) / f32(WIDTH);
?norm   sum = 0.0;
?norm   for (var i = local; i < WIDTH; i += THREADS) { let d = x[row + i] - mean; sum += d * d; }
?norm   let factor = inverseSqrt(sum_of_all(sum, local) / f32(WIDTH) + bitcast<f32>($eps$u));
?norm   for (var i = local; i < WIDTH; i += THREADS) { normed[row + i] = (x[row + i] - mean) * factor * norm_weight[i] + norm_bias[i]; }
}
