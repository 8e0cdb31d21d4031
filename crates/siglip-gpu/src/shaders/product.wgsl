const K = $inputs$u;
const SPLIT = $split$u;
const TILE_K = $tile_inputs$u;
const K_VECTORS = $k_vectors$u;
const X_VECTORS = $x_vectors$u;
const W_VECTORS = $w_vectors$u;
const SLICES = $slices$u;
const SLICE_THREADS = 64u;
const THREADS = SLICES * SLICE_THREADS;
const SIDE = 8u;
const SWIZZLE = $swizzle$u;
struct Pass { rows: u32, padded_rows: u32, length: u32, unused: u32 }
@group(0) @binding(0) var<uniform> pass_info: Pass;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
?quantized @group(0) @binding(2) var<storage, read> weights: array<u32>;
?quantized @group(0) @binding(3) var<storage, read> scales: array<vec4<f32>>;
?!quantized @group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
?bias @group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;
?residual @group(0) @binding(6) var<storage, read> added: array<vec4<f32>>;

var<workgroup> x_tile: array<vec4<f32>, TILE_K * X_VECTORS>;
var<workgroup> w_tile: array<vec4<f32>, TILE_K * W_VECTORS>;
?sliced var<workgroup> slice_sums: array<vec4<f32>, SLICE_THREADS>;

fn x_read(at: u32) -> mat4x4<f32> { return mat4x4(x[at], x[at + K], x[at + 2 * K], x[at + 3 * K]); }
?quantized alias Raw = vec4<u32>;
?!quantized alias Raw = mat4x4<f32>;
fn w_read(at: u32) -> Raw { return Raw(weights[at], weights[at + K], weights[at + 2 * K], weights[at + 3 * K]); }
?quantized fn w_values(raw: Raw) -> mat4x4<f32> { return transpose(mat4x4(levels(raw[0]), levels(raw[1]), levels(raw[2]), levels(raw[3]))); }
?!quantized fn w_values(raw: Raw) -> Raw { return transpose(raw); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let slice = local / SLICE_THREADS;
  let row = local % SLICE_THREADS / SIDE;
  let column = local % SIDE;
  let lane = local % K_VECTORS;
  let x_at = (tile.y * X_VECTORS + local / K_VECTORS) * 4 * K + lane;
  let w_at = (tile.x * W_VECTORS + local / K_VECTORS) * 4 * K + lane;
  let x_to = lane * 4 * X_VECTORS + ((local / K_VECTORS) ^ (lane * SWIZZLE));
  let w_to = lane * 4 * W_VECTORS + ((local / K_VECTORS) ^ (lane * SWIZZLE));
  _ = pass_info.rows;
*read ?of_x   var x$round$: mat4x4<f32>;
*read ?!of_x   var w$round$: Raw;
?prefetch   {
?prefetch     let k = tile.z * SPLIT;
*read ?prefetch ?from ?to     if (local >= $from$ && local < $to$)
*read ?prefetch ?from ?!to     if (local >= $from$)
*read ?prefetch ?!from ?to     if (local < $to$)
*read ?prefetch ?of_x     { x$round$ = x_read(x_at + 4 * $offset$u * K + k); }
*read ?prefetch ?!of_x ?minus     { w$round$ = w_read(w_at - 4 * $offset$u * K + k); }
*read ?prefetch ?!of_x ?!minus     { w$round$ = w_read(w_at + 4 * $offset$u * K + k); }
?prefetch   }
*sum   var s$row$_$column$ = vec4<f32>(0);
  for (var k = tile.z * SPLIT; k < (tile.z + 1) * SPLIT; k += K_VECTORS) {
?!prefetch     {
*read ?!prefetch ?from ?to     if (local >= $from$ && local < $to$)
*read ?!prefetch ?from ?!to     if (local >= $from$)
*read ?!prefetch ?!from ?to     if (local < $to$)
*read ?!prefetch ?of_x     { x$round$ = x_read(x_at + 4 * $offset$u * K + k); }
*read ?!prefetch ?!of_x ?minus     { w$round$ = w_read(w_at - 4 * $offset$u * K + k); }
*read ?!prefetch ?!of_x ?!minus     { w$round$ = w_read(w_at + 4 * $offset$u * K + k); }
?!prefetch     }
*read ?from ?to     if (local >= $from$ && local < $to$)
*read ?from ?!to     if (local >= $from$)
*read ?!from ?to     if (local < $to$)
*read     {
*read ?of_x       let t = transpose(x$round$);
*read ?!of_x       let t = w_values(w$round$);
*read ?of_x       x_tile[x_to + $offset$u + 0 * X_VECTORS] = t[0];
*read ?of_x       x_tile[x_to + $offset$u + 1 * X_VECTORS] = t[1];
*read ?of_x       x_tile[x_to + $offset$u + 2 * X_VECTORS] = t[2];
*read ?of_x       x_tile[x_to + $offset$u + 3 * X_VECTORS] = t[3];
*read ?!of_x ?minus       w_tile[w_to - $offset$u + 0 * W_VECTORS] = t[0];
*read ?!of_x ?!minus       w_tile[w_to + $offset$u + 0 * W_VECTORS] = t[0];
*read ?!of_x ?minus       w_tile[w_to - $offset$u + 1 * W_VECTORS] = t[1];
*read ?!of_x ?!minus       w_tile[w_to + $offset$u + 1 * W_VECTORS] = t[1];
*read ?!of_x ?minus       w_tile[w_to - $offset$u + 2 * W_VECTORS] = t[2];
*read ?!of_x ?!minus       w_tile[w_to + $offset$u + 2 * W_VECTORS] = t[2];
*read ?!of_x ?minus       w_tile[w_to - $offset$u + 3 * W_VECTORS] = t[3];
*read ?!of_x ?!minus       w_tile[w_to + $offset$u + 3 * W_VECTORS] = t[3];
*read     }
?prefetch     if (k + K_VECTORS < (tile.z + 1) * SPLIT) {
*read ?prefetch ?from ?to     if (local >= $from$ && local < $to$)
*read ?prefetch ?from ?!to     if (local >= $from$)
*read ?prefetch ?!from ?to     if (local < $to$)
*read ?prefetch ?of_x     { x$round$ = x_read(x_at + 4 * $offset$u * K + k + K_VECTORS); }
*read ?prefetch ?!of_x ?minus     { w$round$ = w_read(w_at - 4 * $offset$u * K + k + K_VECTORS); }
*read ?prefetch ?!of_x ?!minus     { w$round$ = w_read(w_at + 4 * $offset$u * K + k + K_VECTORS); }
?prefetch     }
    workgroupBarrier();
    for (var i = slice; i < K_VECTORS; i += SLICES) {
      let a = i * 4 * X_VECTORS + (row ^ (i * SWIZZLE));
      let b = i * 4 * W_VECTORS + (column ^ (i * SWIZZLE));
      for (var j = 0u; j < 4; j++) {
*x_four         let a$four$ = x_tile[a + j * X_VECTORS + $four$ * SIDE];
*w_four         let b$four$ = w_tile[b + j * W_VECTORS + $four$ * SIDE];
*sum         s$row$_$column$ = fma(vec4<f32>(a$four$[$one$]), b$column$, s$row$_$column$);
      }
    }
    workgroupBarrier();
  }
*sum ?sliced   if (slice > 0) { slice_sums[local - SLICE_THREADS] = s$row$_$column$; }
*sum ?sliced   workgroupBarrier();
*sum ?sliced   if (slice == 0) { s$row$_$column$ += slice_sums[local]; }
*sum ?sliced   workgroupBarrier();
?sliced   if (slice > 0) { return; }
*w_four   let output$four$ = tile.x * W_VECTORS + column + $four$ * SIDE;
*sum ?quantized ?bias   s$row$_$column$ = s$row$_$column$ * scales[output$column$] + bias[output$column$];
*sum ?quantized ?!bias   s$row$_$column$ *= scales[output$column$];
*sum ?!quantized ?bias   s$row$_$column$ += bias[output$column$];
*sum ?gelu   s$row$_$column$ = gelu(s$row$_$column$);
*sum ?residual   s$row$_$column$ += added[((tile.y * X_VECTORS + row + $four$ * SIDE) * 4 + $one$) % pass_info.length * $stride$ + output$column$];
*sum ?!parts   y[((tile.y * X_VECTORS + row + $four$ * SIDE) * 4 + $one$) * $stride$ + output$column$] = s$row$_$column$;
*sum ?parts   y[(tile.z * pass_info.padded_rows + (tile.y * X_VECTORS + row + $four$ * SIDE) * 4 + $one$) * $stride$ + output$column$] = s$row$_$column$;
}
