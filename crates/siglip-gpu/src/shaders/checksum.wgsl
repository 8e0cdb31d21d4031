@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32, 64>;
var<workgroup> sums: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  var sum = 0u;
  for (var i = group.x * 64 + local; i < arrayLength(&words); i += 4096) { sum += words[i] * (2 * i + 1); }
  sums[local] = sum;
  workgroupBarrier();
  if (local == 0) {
    sum = 0;
    for (var i = 0u; i < 64; i++) { sum += sums[i]; }
    result[group.x] = sum;
  }
}
