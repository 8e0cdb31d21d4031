const K = $inputs$u;
const OUTPUTS = $outputs$u;
struct Pass { rows: u32, padded_rows: u32, length: u32, unused: u32 }
@group(0) @binding(0) var<uniform> pass_info: Pass;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
?quantized @group(0) @binding(2) var<storage, read> weights: array<u32>;
?quantized @group(0) @binding(3) var<storage, read> scales: array<f32>;
?!quantized @group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
?residual @group(0) @binding(6) var<storage, read> added: array<f32>;
?norm @group(0) @binding(7) var<storage, read> norm_weight: array<vec4<f32>>;
?norm @group(0) @binding(8) var<storage, read> norm_bias: array<vec4<f32>>;

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

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  _ = pass_info.rows;
?takes_last   let row = ((group.y + 1) * pass_info.length - 1) * K;
?!takes_last   let row = group.y * K;
  let output = group.x * (THREADS / LANES) + local / LANES;
?norm   var values = vec4<f32>(0);
?norm   for (var i = local; i < K; i += THREADS) { values += x[row + i]; }
?norm   let mean = sum_of(dot(values, vec4<f32>(1)), local, THREADS) / $width$;
?norm   values = vec4<f32>(0);
?norm   for (var i = local; i < K; i += THREADS) {
?norm     let d = select(vec4<f32>(0), x[row + i] - mean, vec4<u32>(4 * i) + vec4<u32>(0, 1, 2, 3) < vec4<u32>($width$));
?norm     values += d * d;
?norm   }
?norm   let factor = inverseSqrt(sum_of(dot(values, vec4<f32>(1)), local, THREADS) / $width$ + bitcast<f32>($eps$u));
  var products = vec4<f32>(0);
  for (var i = local % LANES; i < K; i += LANES) {
?norm     let value = (x[row + i] - mean) * factor * norm_weight[i] + norm_bias[i];
?!norm     let value = x[row + i];
?quantized     products += value * levels(weights[output * K + i]);
?!quantized     products += value * weights[output * K + i];
  }
  var sum = sum_of(dot(products, vec4<f32>(1)), local, LANES);
?quantized   sum = sum * scales[output] + bias[output];
?!quantized   sum += bias[output];
?gelu   sum = gelu(vec4<f32>(sum)).x;
  let at = group.y * OUTPUTS + output;
?residual   sum += added[at];
  if (local % LANES == 0) { y[at] = sum; }
}
