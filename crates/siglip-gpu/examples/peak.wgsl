// Chains of multiplications and additions that do not depend on each other: as many as an adapter computes in a second are its
// peak. SCALAR is f32 or f16, ROUNDS a constant before this text.
@group(0) @binding(0) var<storage, read_write> result: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let start = SCALAR(f32(id.x % 7) * 0.001);
  // Near 1 and 0, so that no value grows beyond bounds or becomes denormal.
  let a = vec4<SCALAR>(SCALAR(0.999) + start * SCALAR(0.01));
  let b = vec4<SCALAR>(SCALAR(0.001));
  var c0 = vec4<SCALAR>(start);
  var c1 = c0 + SCALAR(0.1);
  var c2 = c0 + SCALAR(0.2);
  var c3 = c0 + SCALAR(0.3);
  for (var i = 0u; i < ROUNDS; i++) {
    c0 = fma(c0, a, b);
    c1 = fma(c1, a, b);
    c2 = fma(c2, a, b);
    c3 = fma(c3, a, b);
    c0 = fma(c0, a, b);
    c1 = fma(c1, a, b);
    c2 = fma(c2, a, b);
    c3 = fma(c3, a, b);
  }
  result[id.x] = vec4<f32>(c0 + c1 + c2 + c3);
}
