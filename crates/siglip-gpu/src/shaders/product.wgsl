struct Pass { rows: u32, padded_rows: u32, length: u32, unused: u32 }
@group(0) @binding(0) var<uniform> pass_info: Pass;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<WORD>;
BINDINGS
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

const TILE_K = 16u;
var<workgroup> x_tile: array<vec4<f32>, TILE_K * X_VECTORS>;
var<workgroup> w_tile: array<vec4<f32>, TILE_K * W_VECTORS>;

FUNCTIONS
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let first_row = tile.y * X_VECTORS * 4;
  let first_output = tile.x * W_VECTORS * 4;
  let row = local / 8;
  let column = local % 8;
  _ = pass_info.rows;
DECLARATIONS
  for (var k = tile.z * SPLIT; k < (tile.z + 1) * SPLIT; k += TILE_K / 4) {
    for (var i = local; i < X_VECTORS * 4; i += 64) {
      let at = (first_row + i / 4 * 4) * K + k + i % 4;
      let t = transpose(mat4x4(x[at], x[at + K], x[at + 2 * K], x[at + 3 * K]));
      let to = i % 4 * 4 * X_VECTORS + i / 4;
      x_tile[to] = t[0];
      x_tile[to + X_VECTORS] = t[1];
      x_tile[to + 2 * X_VECTORS] = t[2];
      x_tile[to + 3 * X_VECTORS] = t[3];
    }
    for (var i = local; i < W_VECTORS * 4; i += 64) {
      let at = (first_output + i / 4 * 4) * K + k + i % 4;
      let t = transpose(mat4x4(levels(weights[at]), levels(weights[at + K]), levels(weights[at + 2 * K]), levels(weights[at + 3 * K])));
      let to = i % 4 * 4 * W_VECTORS + i / 4;
      w_tile[to] = t[0];
      w_tile[to + W_VECTORS] = t[1];
      w_tile[to + 2 * W_VECTORS] = t[2];
      w_tile[to + 3 * W_VECTORS] = t[3];
    }
    workgroupBarrier();
    for (var i = 0u; i < TILE_K; i++) {
MULTIPLICATIONS
    }
    workgroupBarrier();
  }
STORES
}
