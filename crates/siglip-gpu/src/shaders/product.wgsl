struct Pass { rows: u32, padded_rows: u32, length: u32, unused: u32 }
@group(0) @binding(0) var<uniform> pass_info: Pass;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<WORD>;
BINDINGS
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

var<workgroup> x_tile: array<vec4<f32>, TILE_K * X_VECTORS>;
var<workgroup> w_tile: array<vec4<f32>, TILE_K * W_VECTORS>;
SLICE_SUMS

FUNCTIONS
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let slice = local / SLICE_THREADS;
  let row = local % SLICE_THREADS / COLUMNS;
  let column = local % COLUMNS;
  let lane = local % K_VECTORS;
  let x_at = (tile.y * X_VECTORS + local / K_VECTORS) * 4 * K + lane;
  let w_at = (tile.x * W_VECTORS + local / K_VECTORS) * 4 * K + lane;
  let x_to = lane * 4 * X_VECTORS + ((local / K_VECTORS) ^ (lane * SWIZZLE));
  let w_to = lane * 4 * W_VECTORS + ((local / K_VECTORS) ^ (lane * SWIZZLE));
  _ = pass_info.rows;
DECLARATIONS
  for (var k = tile.z * SPLIT; k < (tile.z + 1) * SPLIT; k += K_VECTORS) {
TILES
    workgroupBarrier();
    for (var i = slice; i < K_VECTORS; i += SLICES) {
      let a = i * 4 * X_VECTORS + (row ^ (i * SWIZZLE));
      let b = i * 4 * W_VECTORS + (column ^ (i * SWIZZLE));
      for (var j = 0u; j < 4; j++) {
MULTIPLICATIONS
      }
    }
    workgroupBarrier();
  }
STORES
}
